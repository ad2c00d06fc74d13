"""Sealing the ledger, and journals of conversion and fee."""
