"""Stripe's balance transactions, reconciliation runs, and the cases of what differs."""
