"""Group payments for operators."""
