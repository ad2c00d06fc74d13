"""Stripe's events: the inbox, and which of Stripe's events it has."""
