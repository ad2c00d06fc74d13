"""Disputes, fraud warnings, and the facts that evidence is made of."""
