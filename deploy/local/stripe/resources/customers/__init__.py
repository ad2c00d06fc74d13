"""Customers (docs.stripe.com/api/customers)."""
