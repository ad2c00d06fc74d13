"""Application fees and their refunds (docs.stripe.com/api/application_fees)."""
