"""Charge, capture, cancel, look up; settlement.py says what an answer of Stripe does."""
