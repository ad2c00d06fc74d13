"""Refunds for operators: list, ask, approve, mass refunds."""
