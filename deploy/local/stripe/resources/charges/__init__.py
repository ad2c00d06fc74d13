"""Charges, and how one is split between the platform and a connected account (docs.stripe.com/api/charges)."""
