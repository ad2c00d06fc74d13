"""PaymentIntents: create, confirm, attempt, capture, cancel, search (docs.stripe.com/api/payment_intents)."""
