"""Comparing the database with Stripe's balance transactions, cases, retention."""
