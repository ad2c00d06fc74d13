"""Orders, payments, charges and purchase limits."""
