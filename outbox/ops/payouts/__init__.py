"""Payouts and statements for operators."""
