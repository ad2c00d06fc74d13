"""Decline reasons that may be shown to the buyer; lost, stolen and fraudulent cards become a generic decline.

Stripe asks for this (docs.stripe.com/declines/codes): a thief must not learn that the card was reported.
"""

_PUBLIC_REASONS = {
    "insufficient_funds": "insufficient_funds",
    "expired_card": "expired_card",
    "incorrect_cvc": "incorrect_cvc",
    "incorrect_number": "incorrect_number",
    "processing_error": "processing_error",
    "authentication_required": "authentication_required",
    "card_velocity_exceeded": "card_limit_exceeded",
}


def public_reason(decline_code: str) -> str:
    """The reason to show to the buyer; `card_declined` for every code that must not be revealed."""
    return _PUBLIC_REASONS.get(decline_code, "card_declined")
