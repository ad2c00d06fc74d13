"""Charge, capture, cancel, look up; settlement.py says what an answer of Stripe does.

What was taken and goes back is workers/refunds and workers/disputes; whose the money is, workers/shares.
"""
