"""What a buyer may hear of a decline; lost, stolen and fraudulent are said as a plain one.

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
    """Fit for a buyer's eyes; `card_declined` for everything that is not."""
    return _PUBLIC_REASONS.get(decline_code, "card_declined")
