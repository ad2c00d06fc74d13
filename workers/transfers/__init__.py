"""Transfers to connected accounts, reversals, destination charges."""
