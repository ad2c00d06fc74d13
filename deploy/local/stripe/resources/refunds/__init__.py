"""Refunds of charges (docs.stripe.com/api/refunds)."""
