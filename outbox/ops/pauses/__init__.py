"""Pauses: show, set, lift."""
