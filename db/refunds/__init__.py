"""Refunds and mass refunds: requests, states, ledger entries and what of them is stuck."""
