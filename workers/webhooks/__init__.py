"""Stripe's events: applying the inbox, and looking for events that never arrived."""
