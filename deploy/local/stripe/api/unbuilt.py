"""What Stripe has (of the payments part of its public specification) and this emulator has not: answered with 501."""

_LINES = """
DELETE /v1/accounts/*
POST /v1/accounts/*/reject
GET /v1/balance_settings
POST /v1/balance_settings
POST /v1/charges
POST /v1/charges/*/capture
GET /v1/charges/search
GET /v1/customers/search
POST /v1/payment_intents/*/increment_authorization
POST /v1/payouts/*/reverse
GET /v1/reporting/report_runs
POST /v1/reporting/report_runs
GET /v1/reporting/report_runs/*
GET /v1/reporting/report_types
GET /v1/reporting/report_types/*
GET /v1/reviews
GET /v1/reviews/*
POST /v1/reviews/*/approve
POST /v1/test_helpers/refunds/*/expire
"""

UNBUILT: tuple[tuple[str, str], ...] = tuple((line.split()[0], line.split()[1]) for line in _LINES.split("\n") if line)
