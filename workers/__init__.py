"""Actors: each takes one kind of message, decides, acts once outside, and remembers."""
