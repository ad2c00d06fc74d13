"""Payouts to the bank account (docs.stripe.com/api/payouts)."""
