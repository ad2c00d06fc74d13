"""The one table of problem codes: status, title and meaning of each (RFC 9457).

A code is the last part of a problem's `type`, `urn:payment-fleet:problem:<code>`. The API raises these members, and the
OpenAPI document lists them under each status. A code, once released, is part of the public contract: add codes, and
list a renamed one in the changelog.
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class ProblemType:
    """`title` is the same for every occurrence; `meaning` says when the API answers with it."""

    status: int
    title: str
    meaning: str


class ProblemCode(Enum):
    """A member's code is its name in lower case with hyphens: `CONSTRAINT_VIOLATION` is `constraint-violation`."""

    # The request
    IDEMPOTENCY_KEY_MISSING = ProblemType(400, "Idempotency-Key missing", "Every POST needs an Idempotency-Key.")
    IDEMPOTENCY_KEY_MALFORMED = ProblemType(
        400, "Idempotency-Key malformed", "The key is too long, or contains spaces or non-ASCII characters."
    )
    MALFORMED_JSON = ProblemType(400, "Malformed JSON", "The body cannot be parsed as JSON.")
    BODY_INVALID = ProblemType(422, "Invalid body", "The body violates its schema; `errors` lists the fields.")
    IDEMPOTENCY_KEY_REUSED = ProblemType(
        422, "Idempotency-Key reused", "The key was already used for a different request."
    )
    REQUEST_IN_PROGRESS = ProblemType(
        409, "Request in progress", "A request with the same Idempotency-Key is still being processed; retry later."
    )
    REQUEST_REFUSED = ProblemType(
        409, "Request refused", "The current state does not permit the request; see `detail`."
    )
    CONSTRAINT_VIOLATION = ProblemType(
        422, "Constraint violation", "The request violates a database constraint; nothing was changed."
    )

    # The caller
    INVALID_TOKEN = ProblemType(401, "Invalid token", "The bearer token is malformed, expired or not trusted.")
    INSUFFICIENT_PERMISSIONS = ProblemType(
        403, "Insufficient permissions", "No role or scope of the token permits the operation."
    )
    ACCESS_DENIED = ProblemType(
        403, "Access denied", "The token permits the operation, but not for this venue, buyer or field."
    )
    UNKNOWN_TENANT = ProblemType(403, "Unknown tenant", "The tenant named by the token does not exist.")
    TOO_MANY_REQUESTS = ProblemType(429, "Too many requests", "The caller exceeded a rate limit; see `Retry-After`.")

    # The service
    TAX_NOT_IMPLEMENTED = ProblemType(501, "Tax not implemented", "Tax quotes are not implemented yet.")
    DATABASE_UNAVAILABLE = ProblemType(
        503, "Database unavailable", "The database is unavailable; retry with the same Idempotency-Key."
    )
    TOKEN_ISSUER_UNAVAILABLE = ProblemType(
        503, "Token issuer unavailable", "The token issuer's keys cannot be fetched; retry later."
    )
    OVERLOADED = ProblemType(503, "Overloaded", "Too many requests are queued; nothing was done, retry later.")
    REQUEST_TIMEOUT = ProblemType(
        503, "Request timed out", "The request took too long; retry with the same Idempotency-Key for its result."
    )

    # Orders and payments
    PAYMENT_NOT_FOUND = ProblemType(
        404, "Payment not found", "The payment does not exist, or the caller may not access it."
    )
    ORDER_CONFLICT = ProblemType(
        409, "Order conflict", "A different order with the same order_id exists; it is unchanged."
    )
    ORDER_REJECTED = ProblemType(422, "Order rejected", "The order violates a business rule; see `detail`.")
    UNKNOWN_VENUE = ProblemType(422, "Unknown venue", "The venue does not belong to this tenant.")
    WRONG_CURRENCY = ProblemType(
        422, "Wrong currency", "The amount is not in the currency of the venue or of the payment."
    )

    # Captures and cancellations
    AMOUNT_NOT_AUTHORIZED = ProblemType(
        422, "Amount not authorized", "The capture amount is not within the authorized amount."
    )
    PAYMENT_NOT_AUTHORIZED = ProblemType(
        409, "Payment not authorized", "No amount is authorized, so the payment cannot be captured."
    )
    PARTIAL_CAPTURE_NOT_ALLOWED = ProblemType(
        409, "Partial capture not allowed", "The payment is a group share, which is captured in full or not at all."
    )
    CAPTURE_ALREADY_REQUESTED = ProblemType(
        409, "Capture already requested", "A capture of a different amount is in progress."
    )
    ALREADY_CAPTURED = ProblemType(409, "Already captured", "The payment was captured; request a refund instead.")
    CANCELLATION_IN_PROGRESS = ProblemType(409, "Cancellation in progress", "The payment is being canceled.")

    # Refunds
    NOTHING_TO_REFUND = ProblemType(
        409, "Nothing to refund", "The payment failed or was canceled, so no money was captured."
    )
    PAYMENT_NOT_CAPTURED = ProblemType(
        409, "Payment not captured", "A payment that is not captured can only be refunded in full, which cancels it."
    )
    ALREADY_REFUNDED = ProblemType(
        409, "Already refunded", "The full amount is refunded, or refunds for it are in progress."
    )
    AMOUNT_EXCEEDS_CAPTURED = ProblemType(
        422, "Amount exceeds the refundable amount", "The refund exceeds the captured amount that is not yet refunded."
    )
    UNKNOWN_TICKET = ProblemType(422, "Unknown ticket", "A ticket is not part of this order.")
    FREE_TICKET = ProblemType(422, "Free ticket", "The tickets have no price to refund.")
    TICKET_ALREADY_REFUNDED = ProblemType(
        409, "Ticket already refunded", "A ticket is refunded, or its refund is in progress."
    )
    CHARGE_DISPUTED = ProblemType(
        409, "Charge disputed", "The charge is disputed: a refund would return the money a second time."
    )
    REQUEST_KEY_REUSED = ProblemType(
        409, "Request key reused", "The same refund request was made before with different contents."
    )

    # Groups
    GROUP_NOT_FOUND = ProblemType(404, "Group not found", "The group does not exist, or the caller may not access it.")
    MEMBER_NOT_FOUND = ProblemType(404, "Member not found", "The group has no such member.")
    GROUP_CONFLICT = ProblemType(
        409, "Group conflict", "A different group with the same group_id exists; it is unchanged."
    )
    GROUP_REJECTED = ProblemType(422, "Group rejected", "The group violates a business rule; see `detail`.")
    SHARE_REJECTED = ProblemType(
        422, "Share payment rejected", "The share's payment violates a business rule; see `detail`."
    )
    GROUP_NOT_OPEN = ProblemType(
        409, "Group not open", "The group is complete, expired or canceled and accepts no payments."
    )
    DEADLINE_PASSED = ProblemType(409, "Deadline passed", "The group's deadline has passed.")
    SHARE_ALREADY_PAID = ProblemType(409, "Share already paid", "The share is authorized or captured.")
    SHARE_PAYMENT_IN_PROGRESS = ProblemType(
        409, "Share payment in progress", "A payment of the share is in progress; wait for its result."
    )
    NO_UNPAID_SHARES = ProblemType(409, "No unpaid shares", "Every share is paid or being paid.")
    AMOUNT_TOO_LARGE = ProblemType(409, "Amount too large", "The unpaid shares exceed the largest single payment.")
    ALREADY_SETTLED = ProblemType(
        409, "Already settled", "The group is captured; canceling it requires permission to refund."
    )

    @property
    def code(self) -> str:
        """The code as it is on the wire, the last part of the problem's `type`."""
        return self.name.lower().replace("_", "-")

    @property
    def status(self) -> int:
        return self.value.status


# Requests have codes of their own (outbox/requests/), which are also stored with mass refunds; those that differ.
_OF_REQUESTS = {
    "refused": ProblemCode.REQUEST_REFUSED,
    "out_of_reach": ProblemCode.ACCESS_DENIED,
    "payment_unknown": ProblemCode.PAYMENT_NOT_FOUND,
    "ticket_unknown": ProblemCode.UNKNOWN_TICKET,
    "ticket_was_free": ProblemCode.FREE_TICKET,
    "not_authorized": ProblemCode.PAYMENT_NOT_AUTHORIZED,
    "not_captured": ProblemCode.PAYMENT_NOT_CAPTURED,
    "of_a_group": ProblemCode.PARTIAL_CAPTURE_NOT_ALLOWED,
    "being_canceled": ProblemCode.CANCELLATION_IN_PROGRESS,
    "group_unknown": ProblemCode.GROUP_NOT_FOUND,
    "member_unknown": ProblemCode.MEMBER_NOT_FOUND,
    "share_secured": ProblemCode.SHARE_ALREADY_PAID,
    "share_being_paid": ProblemCode.SHARE_PAYMENT_IN_PROGRESS,
    "nothing_missing": ProblemCode.NO_UNPAID_SHARES,
    "too_much_at_once": ProblemCode.AMOUNT_TOO_LARGE,
}


def of_request_error(code: str) -> ProblemCode:
    """The public code of an error that outbox/requests raises.

    Raises:
        KeyError: the code is in neither table; a test compares them.
    """
    return _OF_REQUESTS.get(code) or ProblemCode[code.upper()]
