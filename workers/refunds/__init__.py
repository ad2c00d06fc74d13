"""Refunds and mass refunds."""
