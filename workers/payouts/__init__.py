"""Payouts to banks, account payouts, statements."""
