"""Refunds and mass refunds; allocation.py says who bears one, settlement.py what an answer of Stripe does."""
