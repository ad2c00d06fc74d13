"""Stripe's test payment methods and what each of them does. Source: docs.stripe.com/testing.

Only these names are methods here: an unknown `pm_card_*` is refused, never a success.
"""

from dataclasses import dataclass

from ...wire.errors import Json


@dataclass(frozen=True, slots=True)
class Decline:
    """A refusal by the bank. Source: docs.stripe.com/declines/codes."""

    code: str
    message: str
    decline_code: str | None = None
    advice_code: str = "try_again_later"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a test method does at each step of a payment; the default pays, settles at once and refunds at once."""

    kind: str = "card"
    brand: str = "visa"
    last4: str = "4242"
    decline: Decline | None = None
    needs_authentication: bool = False
    settles: str = "at_once"  # at_once, later (by the clock), when_told (by the control API)
    available_at_once: bool = False
    risk_level: str = "normal"
    disputed_as: str | None = None  # the reason the bank will give, a little later
    inquiry: bool = False  # the dispute starts as an inquiry
    fraud_warning: bool = False
    refund: str = "succeeds"  # succeeds, pending (arrives by the clock), fails_later (after it has succeeded)


def _declined(
    decline_code: str, advice_code: str = "try_again_later", message: str = "Your card was declined."
) -> Decline:
    return Decline("card_declined", message, decline_code, advice_code)


GENERIC_DECLINE = _declined("generic_decline")
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "authentication_required",
    "confirm_card_data",
)
AUTHENTICATION_FAILED = Decline(
    "payment_intent_authentication_failure",
    "The provided payment method has failed authentication. You can provide a new payment method.",
    advice_code="confirm_card_data",
)
_EXPIRED = Decline("expired_card", "Your card has expired.", advice_code="confirm_card_data")
_INCORRECT_CVC = Decline("incorrect_cvc", "Your card's security code is incorrect.", advice_code="confirm_card_data")
_PROCESSING_ERROR = Decline(
    "processing_error", "An error occurred while processing your card. Try again in a little bit."
)
_BLOCKED = _declined("fraudulent", "do_not_try_again")
_NO_FUNDS = Decline("insufficient_funds", "The customer's account has insufficient funds to cover this payment.")

TEST_METHODS: dict[str, Behaviour] = {
    "pm_card_visa": Behaviour(),
    "pm_card_mastercard": Behaviour(brand="mastercard", last4="4444"),
    "pm_card_amex": Behaviour(brand="amex", last4="8431"),
    "pm_card_bypassPending": Behaviour(last4="0077", available_at_once=True),
    "pm_card_visa_chargeDeclined": Behaviour(last4="0002", decline=GENERIC_DECLINE),
    "pm_card_chargeDeclined": Behaviour(last4="0002", decline=GENERIC_DECLINE),
    "pm_card_visa_chargeDeclinedInsufficientFunds": Behaviour(last4="9995", decline=_declined("insufficient_funds")),
    "pm_card_visa_chargeDeclinedLostCard": Behaviour(last4="9987", decline=_declined("lost_card", "do_not_try_again")),
    "pm_card_visa_chargeDeclinedStolenCard": Behaviour(
        last4="9979", decline=_declined("stolen_card", "do_not_try_again")
    ),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": Behaviour(
        last4="6975", decline=_declined("card_velocity_exceeded")
    ),
    "pm_card_chargeDeclinedInsufficientFunds": Behaviour(last4="9995", decline=_declined("insufficient_funds")),
    "pm_card_chargeDeclinedFraudulent": Behaviour(last4="0019", decline=_BLOCKED),
    "pm_card_chargeDeclinedExpiredCard": Behaviour(last4="0069", decline=_EXPIRED),
    "pm_card_chargeDeclinedIncorrectCvc": Behaviour(last4="0127", decline=_INCORRECT_CVC),
    "pm_card_chargeDeclinedProcessingError": Behaviour(last4="0119", decline=_PROCESSING_ERROR),
    "pm_card_chargeCustomerFail": Behaviour(last4="0341", decline=GENERIC_DECLINE),
    "pm_card_threeDSecure2Required": Behaviour(last4="3220", needs_authentication=True),
    "pm_card_authenticationRequired": Behaviour(last4="3184", needs_authentication=True),
    "pm_card_threeDSecureRequiredChargeDeclined": Behaviour(
        last4="1629", needs_authentication=True, decline=GENERIC_DECLINE
    ),
    "pm_card_threeDSecureOptional": Behaviour(last4="3055"),
    "pm_card_pendingRefund": Behaviour(last4="7726", refund="pending"),
    "pm_card_refundFail": Behaviour(last4="5126", refund="fails_later"),
    "pm_card_createDispute": Behaviour(last4="0259", disputed_as="fraudulent"),
    "pm_card_createDisputeProductNotReceived": Behaviour(last4="2685", disputed_as="product_not_received"),
    "pm_card_createDisputeInquiry": Behaviour(last4="1976", disputed_as="general", inquiry=True),
    "pm_card_createIssuerFraudRecord": Behaviour(last4="5423", fraud_warning=True),
    "pm_card_riskLevelElevated": Behaviour(last4="9235", risk_level="elevated"),
    "pm_card_riskLevelHighest": Behaviour(last4="4954", risk_level="highest", decline=_BLOCKED),
    "pm_card_radarBlock": Behaviour(last4="0019", risk_level="highest", decline=_BLOCKED),
    "pm_usBankAccount_success": Behaviour("us_bank_account", "", "6789", settles="later", refund="pending"),
    "pm_usBankAccount_insufficientFunds": Behaviour("us_bank_account", "", "2227", _NO_FUNDS, settles="later"),
    "pm_usBankAccount_processing": Behaviour("us_bank_account", "", "0009", settles="when_told", refund="pending"),
}
BLOCKED_BY_RADAR = frozenset(("pm_card_riskLevelHighest", "pm_card_radarBlock"))


def card_face(behaviour: Behaviour) -> Json:
    """The `card` hash of a PaymentMethod."""
    names = {"amex": "american_express"}
    return {
        "brand": behaviour.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": names.get(behaviour.brand, behaviour.brand),
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"emulator{behaviour.brand[:4]}{behaviour.last4}",
        "funding": "credit",
        "generated_from": None,
        "last4": behaviour.last4,
        "networks": {"available": [behaviour.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def bank_face(behaviour: Behaviour) -> Json:
    """The `us_bank_account` hash of a PaymentMethod."""
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": f"emulatorbank{behaviour.last4}",
        "last4": behaviour.last4,
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }


def charge_face(behaviour: Behaviour, amount_minor: int, captures_later: bool, capture_before: int) -> Json:
    """`payment_method_details` of a charge."""
    if behaviour.kind == "us_bank_account":
        shown = {
            k: v
            for k, v in bank_face(behaviour).items()
            if k not in ("networks", "status_details", "financial_connections_account")
        }
        return {"type": "us_bank_account", "us_bank_account": shown | {"payment_reference": None}}
    face = card_face(behaviour)
    shown = {
        k: face[k] for k in ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    }
    card: Json = shown | {
        "amount_authorized": amount_minor,
        "authorization_code": None,
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": behaviour.brand,
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": amount_minor, "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }
    if captures_later:
        card["capture_before"] = capture_before
    return {"type": "card", "card": card}
