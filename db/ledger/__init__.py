"""Journals of the double-entry ledger, their hash chain, and reports."""
