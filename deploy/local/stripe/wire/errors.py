"""Refusals in Stripe's own shape: {"error": {...}} without null fields.

`executed` says that the endpoint had begun to run, so the result is stored under the idempotency key; a validation
failure never is. `keeps_effects` says that what was written stays written although the answer is an error (a declined
card leaves its failed charge behind).
"""

from typing import Any

Json = dict[str, Any]


class StripeError(Exception):
    """A refusal. `kind` is Stripe's `type`; `fields` are further ones of the error hash (code, param, ...)."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        executed: bool = False,
        keeps_effects: bool = False,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        self.keeps_effects = keeps_effects
        self.headers = headers or {}
        self.fields = {"type": kind, "message": message} | {k: v for k, v in fields.items() if v is not None}

    def body(self) -> Json:
        """As it is sent."""
        return {"error": self.fields}


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> StripeError:
    """A parameter that is wrong: 400, not kept under the key."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param)


def refused(message: str, *, code: str | None = None, param: str | None = None) -> StripeError:
    """What the object's state forbids: the endpoint had begun to execute, so the key keeps this answer."""
    return StripeError(400, "invalid_request_error", message, executed=True, code=code, param=param)


def unauthenticated(message: str) -> StripeError:
    """No valid key: 401."""
    return StripeError(401, "invalid_request_error", message)


def missing_object(kind: str, identifier: str) -> StripeError:
    """The object named by the URL does not exist in this account."""
    message = f"No such {kind}: '{identifier}'"
    return StripeError(404, "invalid_request_error", message, code="resource_missing", param="id")


def missing_reference(kind: str, identifier: str, param: str) -> StripeError:
    """The object named by a parameter does not exist in this account: Stripe says 400 here, not 404."""
    return invalid(f"No such {kind}: '{identifier}'", code="resource_missing", param=param)


def not_implemented(what: str, param: str | None = None) -> StripeError:
    """What Stripe has and the emulator has not: 501."""
    message = f"The emulator does not implement {what}; it refuses instead of ignoring it."
    return StripeError(501, "api_error", message, code="emulator_not_implemented", param=param)


def unexpected_state(intent: Json, verb: str) -> StripeError:
    """The intent's status does not allow `verb`: 400 with the intent, kept under the key."""
    message = f"This PaymentIntent could not be {verb} because it has a status of {intent['status']}."
    return StripeError(
        400,
        "invalid_request_error",
        message,
        executed=True,
        code="payment_intent_unexpected_state",
        payment_intent=intent,
    )


def key_in_use(key: str) -> StripeError:
    """A request with this key is under way: 409."""
    message = f"There is currently another in-progress request using this Idempotency-Key ({key})."
    return StripeError(409, "invalid_request_error", message, code="idempotency_key_in_use")


def key_reused(key: str) -> StripeError:
    """The key was used for another request: 400."""
    message = (
        f"Keys for idempotent requests can only be used with the same parameters they were first used with ({key})."
    )
    return StripeError(400, "idempotency_error", message)


def rate_limited(reason: str) -> StripeError:
    """429 with `Stripe-Rate-Limited-Reason`. Source: docs.stripe.com/rate-limits."""
    headers = {"Stripe-Rate-Limited-Reason": reason}
    message = "Request rate limit exceeded."
    return StripeError(429, "invalid_request_error", message, code="rate_limit", headers=headers)


def lock_timeout() -> StripeError:
    """429 `lock_timeout`. Source: docs.stripe.com/rate-limits#object-lock-timeouts."""
    message = "This object cannot be accessed right now because another request is currently accessing it."
    return StripeError(429, "invalid_request_error", message, code="lock_timeout")
