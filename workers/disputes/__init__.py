"""Disputes: an operator's answer, events, look-up, fraud warnings; settlement.py says what an answer of Stripe does."""
