"""Top-ups of the platform's balance (docs.stripe.com/api/topups)."""
