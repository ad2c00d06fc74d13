"""PaymentMethods, and the test cards behind them (docs.stripe.com/api/payment_methods, docs.stripe.com/testing)."""
