"""Stripe's events: the inbox, and how completely it holds what Stripe lists."""
