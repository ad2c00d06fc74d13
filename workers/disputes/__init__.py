"""Disputes: answer, events, look up, settlement, fraud warnings."""
