"""Ledger, cases and reconciliation for operators."""
