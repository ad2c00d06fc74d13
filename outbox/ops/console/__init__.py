"""The ops console: what waits, what died and what operators may do about it, as pages for a browser."""
