"""What every sweep shares: how a stuck row is woken, and what a case is opened for.

A sweep repairs nothing itself: it appends a message to the worker that knows what to do, or opens a case for a person.
"""
