"""Shares and escrow for operators: show, release, hold."""
