"""Webhook endpoints (docs.stripe.com/api/webhook_endpoints)."""
