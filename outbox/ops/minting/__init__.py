"""Mints for operators."""
