"""What is remembered: one SQLite file holds objects, keys, the clock and the recorder, so that a kill loses nothing."""
