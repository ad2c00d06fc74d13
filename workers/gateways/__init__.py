"""Outside worlds that are not Stripe."""
