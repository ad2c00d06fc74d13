"""What operators did: the operator log."""
