"""Transfers to connected accounts, and the payments they are there (docs.stripe.com/api/transfers)."""
