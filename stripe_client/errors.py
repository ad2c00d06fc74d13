"""ONE table: every Stripe error -> outcome or verdict. What it does not know gives up and asks a person.

Sources: docs.stripe.com/error-low-level, docs.stripe.com/error-codes, docs.stripe.com/declines/codes. Sorted by whether
a retry can help:

    a retry may help     TryAgain (spend a try), TryLater (Stripe or the breaker says when)
    nobody knows         Unanswered: the same key again while it lives, then a lookup
    a retry cannot help  Declined, Refused (answers), GiveUp (a person)
"""

from collections.abc import Callable

import stripe

from messages.declines import public_reason
from messages.verdicts import GiveUp, TryAgain, TryLater, Verdict
from stripe_client.gateway import BreakerOpenError, advice, error_code, is_replay, limited_by
from stripe_client.outcomes import Declined, Refused, Unanswered

Sorted = Declined | Refused | Unanswered | Verdict

# A wrong key or a missing permission stops every call alike; a person mends it, then the messages go on by themselves.
CONFIGURATION_PAUSE_SECONDS = 300.0
RATE_LIMIT_PAUSE_SECONDS = 5.0

# Codes of invalid_request_error that are the order's own fault: an answer for the order service, not for the on-call.
REFUSALS: dict[str, str] = {
    "amount_too_small": "the amount is below what can be charged in this currency",
    "amount_too_large": "the amount is above what can be charged in this currency",
    "payment_method_unactivated": "this kind of payment method is not offered",
    "payment_method_currency_mismatch": "the payment method cannot pay in this currency",
    "payment_method_customer_decline": "the payment method belongs to another customer",
    "payment_method_unexpected_state": "the payment method cannot be used any more",
    "payment_method_provider_decline": "the payment method was refused by its provider",
    # Answers to a refund.
    "charge_already_refunded": "everything was given back already",
    "charge_disputed": "the buyer's bank has taken the money back by a dispute",
    "charge_not_refundable": "this charge cannot be refunded",
    # Answers to a transfer, or to its reversal.
    "balance_insufficient": "the balance that this would come from has not got that much",
    "insufficient_capabilities_for_transfer": "the account may not receive transfers",
    "transfers_not_allowed": "the account may not receive transfers",
    "account_invalid": "there is no such account, or it is closed to us",
}
# resource_missing means the order's fault only when what is missing came with the order.
REFUSED_PARAMETERS = frozenset({"payment_method", "customer", "destination"})

# With these the buyer, not the card, is the reason: no other card should be offered.
_NOT_WITH_ANY_CARD = frozenset({"fraudulent", "merchant_blacklist"})


def sort(error: stripe.StripeError | BreakerOpenError) -> Sorted:
    """What an error means. Verdicts are returned, not raised: the caller may have something to write down first."""
    if isinstance(error, BreakerOpenError):
        return TryLater(str(error), seconds=error.seconds)
    for kind, meaning in TABLE:
        if type(error) is kind:
            return meaning(error)
    return GiveUp(f"Stripe answered with an error we do not know: {describe(error)}")


def describe(error: stripe.StripeError) -> str:
    """Class, status, code and request id: enough to find it at Stripe, and nothing of the payload."""
    parts = [type(error).__name__, str(error.http_status or "no status"), error_code(error) or "no code"]
    return " ".join(parts) + (f", request {error.request_id}" if error.request_id else "")


def declined(code: str | None, decline_code: str | None, intent_id: str | None) -> Declined:
    """A decline, wherever it was read: in a 402 or in an intent's last_payment_error."""
    reason = decline_code or code or "card_declined"
    return Declined(
        intent_id=intent_id,
        code=code or "card_declined",
        decline_code=decline_code,
        public_reason=public_reason(reason),
        may_try_another_card=reason not in _NOT_WITH_ANY_CARD,
    )


def _connection(error: stripe.StripeError) -> Sorted:
    """Not sent, or sent and never answered: within the key's life the same key settles it."""
    return Unanswered(f"no answer from Stripe: {error.user_message}", key_is_spent=False)


def _card(error: stripe.StripeError) -> Sorted:
    detail = error.error
    intent = getattr(detail, "payment_intent", None)
    return declined(
        error_code(error),
        getattr(detail, "decline_code", None),
        getattr(intent, "id", None),
    )


def _invalid_request(error: stripe.StripeError) -> Sorted:
    code = error_code(error)
    if code in REFUSALS:
        return Refused(code, REFUSALS[code], error.request_id)
    parameter = getattr(error.error, "param", None)
    if code == "resource_missing" and parameter in REFUSED_PARAMETERS:
        return Refused(code, f"Stripe knows no such {parameter.replace('_', ' ')}", error.request_id)
    if code is None and parameter == "amount":  # so Stripe refuses a refund above what is left of its charge
        return Refused(
            "amount_exceeds_charge", "less is left of the charge than this refund gives back", error.request_id
        )
    if code in {"payment_intent_unexpected_state", "charge_expired_for_capture", "charge_already_captured"}:
        return Unanswered("the intent is not in the state we thought; read it first", key_is_spent=True)
    return GiveUp(f"Stripe refused the request as wrong, mend it before a replay: {describe(error)}")


def _idempotency(error: stripe.StripeError) -> Sorted:
    return GiveUp(f"the same key was used with another body, which is a bug of ours: {describe(error)}")


def _rate_limit(error: stripe.StripeError) -> Sorted:
    if error_code(error) == "lock_timeout":
        return TryAgain("the object is locked at Stripe by another request")
    return TryLater(
        f"rate limited by Stripe: {limited_by(error) or 'no reason given'}", seconds=RATE_LIMIT_PAUSE_SECONDS
    )


def _api(error: stripe.StripeError) -> Sorted:
    """5xx, 424, a body that is no JSON: it may have happened. A 409 on a key says that it is happening."""
    if error.http_status == 409 or error_code(error) == "idempotency_key_in_use":
        return TryAgain("the first request with this key is still running at Stripe")
    spent = is_replay(error) or advice(error) == "false"
    return Unanswered(f"Stripe failed: {describe(error)}", key_is_spent=spent)


def _configuration(error: stripe.StripeError) -> Sorted:
    return TryLater(
        f"Stripe refuses our key, mend STRIPE_SECRET_KEY or its permissions: {describe(error)}",
        seconds=CONFIGURATION_PAUSE_SECONDS,
    )


def _our_bug(error: stripe.StripeError) -> Sorted:
    return GiveUp(f"stripe-python raised what this call cannot cause: {describe(error)}")


TABLE: tuple[tuple[type[stripe.StripeError], Callable[[stripe.StripeError], Sorted]], ...] = (
    (stripe.APIConnectionError, _connection),
    (stripe.CardError, _card),
    (stripe.InvalidRequestError, _invalid_request),
    (stripe.IdempotencyError, _idempotency),
    (stripe.RateLimitError, _rate_limit),
    (stripe.APIError, _api),
    (stripe.AuthenticationError, _configuration),
    (stripe.PermissionError, _configuration),
    (stripe.SignatureVerificationError, _our_bug),
    # The rest belongs to API v2, which the fleet does not call.
    (stripe.AlreadyCanceledError, _our_bug),
    (stripe.BlockedByStripeError, _our_bug),
    (stripe.CannotProceedError, _our_bug),
    (stripe.CapabilityNotEnabledError, _our_bug),
    (stripe.ControlledByAlternateResourceError, _our_bug),
    (stripe.FeatureNotEnabledError, _our_bug),
    (stripe.FinancialAccountNotOpenError, _our_bug),
    (stripe.FxQuoteNeedsRefreshError, _our_bug),
    (stripe.InsufficientFundsError, _our_bug),
    (stripe.InvalidPaymentMethodError, _our_bug),
    (stripe.InvalidPayoutMethodError, _our_bug),
    (stripe.InvalidVaultedCredentialError, _our_bug),
    (stripe.NotCancelableError, _our_bug),
    (stripe.QuotaExceededError, _our_bug),
    (stripe.RecipientNotNotifiableError, _our_bug),
    (stripe.TemporarySessionExpiredError, _our_bug),
    (stripe.VerificationAttemptFailedError, _our_bug),
    (stripe.VerificationExpiredError, _our_bug),
    (stripe.VerificationNotInitiatedError, _our_bug),
)
