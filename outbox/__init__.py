"""The way in and the way on: intake, append, relay, scheduler, dead letters."""
