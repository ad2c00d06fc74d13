"""Charges: charge, capture, cancel, look up, and the settlement that posts and appends."""
