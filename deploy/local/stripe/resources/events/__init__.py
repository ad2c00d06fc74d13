"""Events as the API lists them (docs.stripe.com/api/events)."""
