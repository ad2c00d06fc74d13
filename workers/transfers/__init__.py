"""Transfers to connected accounts, reversals, destination charges; settlement.py books what Stripe answers."""
