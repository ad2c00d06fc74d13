"""PaymentIntents as the API shows them: created, changed, confirmed, captured, canceled, read.

Which call is legal in which state says `states.py`. Source: the specification of /v1/payment_intents.
"""

from typing import Any

from ...state.store import Record
from ...wire.errors import Json, StripeError, invalid, missing_object, not_implemented, unexpected_state
from ...wire.parameters import merge_metadata
from ...world import Call
from ..balance.amounts import check_amount, check_currency
from ..charges import lifecycle as charges
from ..charges import split
from ..customers import api as customers
from ..lists import list_objects
from ..payment_methods import lifecycle as payment_methods
from ..payment_methods.test_methods import Decline
from . import attempts, lifecycle, states
from .body import LABELS, new

_ONLY_WHILE_OPEN = frozenset(
    (
        "amount", "application_fee_amount", "capture_method", "currency", "customer", "on_behalf_of", "payment_method",
        "setup_future_usage", "transfer_data",
    )
)  # fmt: skip


def check(given: Json) -> None:
    """Validation that needs no object: it runs before the idempotency key is looked at."""
    if "currency" in given:
        given["currency"] = check_currency(given["currency"])
    if "amount" in given and "currency" in given:
        check_amount(given["amount"], given["currency"])
    if given.get("automatic_payment_methods") and "allowed_payment_method_types" in given:
        raise invalid("Pass only one of automatic_payment_methods and allowed_payment_method_types.")
    if given.get("off_session") and given.get("confirm") is not True and "amount" in given:
        raise invalid("off_session can only be used with confirm=true.", param="off_session")


def create(call: Call) -> Json:
    given = call.parameters
    if "customer" in given:
        customers.check_exists(call, given["customer"])
    body = new(call)
    split.check(call, body)
    intent = call.world.insert(call.account, "payment_intent", body)
    if "payment_method" in given:
        _use_method(call, intent, given["payment_method"])
        call.world.save(intent)
    call.world.outbox.emit(call.account, "payment_intent.created", intent.body, call.origin)
    if given.get("confirm"):
        _confirm(call, intent)
    return intent.body


def _use_method(call: Call, intent: Record, name: str) -> Record:
    method = payment_methods.resolve(call, name, intent.body["customer"])
    if method.body["type"] not in intent.body["payment_method_types"]:
        message = f"The PaymentMethod type {method.body['type']} is not allowed on this PaymentIntent."
        raise invalid(message, code="payment_intent_incompatible_payment_method", param="payment_method")
    intent.body["payment_method"] = method.id
    intent.body["status"] = "requires_confirmation"
    intent.body["next_action"] = None
    return method


def confirm(call: Call) -> Json:
    """Try to pay; a declined card is a 402, and its failed charge stays."""
    intent = find(call)
    states.require(intent, "confirmed")
    changes = {name: call.parameters[name] for name in LABELS if name in call.parameters}
    intent.body |= changes
    intent.body["capture_method"] = call.parameters.get("capture_method", intent.body["capture_method"])
    if "payment_method" in call.parameters:
        _use_method(call, intent, call.parameters["payment_method"])
    _confirm(call, intent)
    return intent.body


def _confirm(call: Call, intent: Record) -> None:
    method = _chosen_method(call, intent)
    automatic = intent.body["automatic_payment_methods"]
    if automatic and automatic["allow_redirects"] != "never" and "return_url" not in call.parameters:
        message = (
            "This PaymentIntent accepts redirect-based payment methods, so you must provide a `return_url`,"
            " or set automatic_payment_methods[allow_redirects] to never when creating it."
        )
        raise invalid(message, code="parameter_missing", param="return_url")
    reason = attempts.attempt(call.world, intent, method, call.origin, call.parameters)
    if reason is not None:
        raise _declined(reason, intent.body)


def _chosen_method(call: Call, intent: Record) -> Record:
    identifier = intent.body["payment_method"]
    method = call.world.store.find(call.account, "payment_method", identifier) if identifier else None
    if method is None:
        error = unexpected_state(intent.body, "confirmed")
        error.fields["message"] = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise error
    return method


def _declined(reason: Decline, intent: Json) -> StripeError:
    shown = intent["last_payment_error"]
    fields = {name: value for name, value in shown.items() if name not in ("type", "message")}
    return StripeError(
        402, shown["type"], reason.message, executed=True, keeps_effects=True, **fields, payment_intent=intent
    )


def update(call: Call) -> Json:
    intent, given = find(call), call.parameters
    if given.keys() & _ONLY_WHILE_OPEN:
        states.require(intent, "updated")
    if "customer" in given:
        intent.body["customer"] = customers.check_exists(call, given["customer"])
    changed = (*LABELS, "amount", "application_fee_amount", "currency", "capture_method", "on_behalf_of")
    intent.body |= {name: given[name] for name in changed if name in given}
    if "transfer_data" in given:
        intent.body["transfer_data"] = (intent.body["transfer_data"] or {}) | given["transfer_data"]
    check_amount(intent.body["amount"], intent.body["currency"])
    split.check(call, intent.body)
    if "payment_method" in given:
        _use_method(call, intent, given["payment_method"])
    if "metadata" in given:
        intent.body["metadata"] = merge_metadata(intent.body["metadata"], given["metadata"])
        call.world.store.reindex(intent)
    call.world.save(intent)
    return intent.body


def capture(call: Call) -> Json:
    """Capture all or a part of what is held; the rest is released to the buyer.

    Raises:
        StripeError: 400 in another state than `requires_capture` or for more than is held, 501 for several captures.
    """
    intent, given, world = find(call), call.parameters, call.world
    if given.get("final_capture") is False:
        raise not_implemented("several captures of one intent", "final_capture")
    states.require(intent, "captured")
    capturable: int = intent.body["amount_capturable"]
    amount: int = given.get("amount_to_capture", capturable)
    _check_capturable(amount, capturable)
    intent.body["metadata"] = merge_metadata(intent.body["metadata"], given.get("metadata"))
    for name in ("statement_descriptor", "statement_descriptor_suffix"):
        intent.body[name] = given.get(name, intent.body[name])
    charge = charges.of_intent(world, intent)
    _share_otherwise(call, intent, charge)
    lifecycle.capture(world, intent, charge, amount, call.origin)
    return intent.body


def _share_otherwise(call: Call, intent: Record, charge: Record) -> None:
    """The capture may still say how much is the platform's part."""
    given = call.parameters
    if "application_fee_amount" in given:
        intent.body["application_fee_amount"] = given["application_fee_amount"]
    if "transfer_data" in given:
        intent.body["transfer_data"] = (intent.body["transfer_data"] or {}) | given["transfer_data"]
    if given.keys() & {"application_fee_amount", "transfer_data"}:
        split.check(call, intent.body)
        charge.body |= split.of_intent(intent.body)


def _check_capturable(amount_minor: int, capturable_minor: int) -> None:
    if amount_minor < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param="amount_to_capture")
    if amount_minor > capturable_minor:
        message = f"The amount to capture must not exceed the capturable {capturable_minor}."
        raise invalid(message, code="amount_too_large", param="amount_to_capture")


def cancel(call: Call) -> Json:
    """Cancel an intent that is still open, or release what it holds."""
    intent = find(call)
    states.require(intent, "canceled")
    lifecycle.cancel(call.world, intent, call.parameters.get("cancellation_reason"), call.origin)
    return intent.body


def retrieve(call: Call) -> Json:
    return find(call).body


def list_all(call: Call) -> Json:
    wanted: dict[str, Any] = {}
    if "customer" in call.parameters:
        wanted["customer"] = call.parameters["customer"]
    return list_objects(call, "payment_intent", wanted)


def find(call: Call) -> Record:
    """The intent of the URL.

    Raises:
        StripeError: 404 if it does not exist in this account.
    """
    intent = call.world.store.find(call.account, "payment_intent", call.path_ids[0])
    if intent is None:
        error = missing_object("payment_intent", call.path_ids[0])
        error.fields["param"] = "intent"
        raise error
    return intent
