"""Reversals of transfers (docs.stripe.com/api/transfer_reversals)."""
