"""Payouts to banks, account payouts, and statements."""
