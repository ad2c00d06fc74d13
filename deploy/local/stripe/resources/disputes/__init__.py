"""Disputes: inquiries and chargebacks (docs.stripe.com/api/disputes)."""
