"""Early fraud warnings of Radar (docs.stripe.com/api/radar/early_fraud_warnings)."""
