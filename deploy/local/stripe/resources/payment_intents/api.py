"""PaymentIntents: create, change, confirm, read. The table of legal moves is `MOVES`; every call asks it.

Source of the table: docs.stripe.com/payments/paymentintents/lifecycle and the specification of each operation.
"""

from typing import Any

from ...state.store import Record
from ...wire.errors import Json, StripeError, invalid, missing_object, unexpected_state
from ...wire.parameters import merge_metadata
from ...world import Call
from ..balance.amounts import check_amount, check_currency
from ..charges import split
from ..customers import api as customers
from ..lists import list_objects
from ..payment_methods import lifecycle as payment_methods
from ..payment_methods.test_methods import Decline
from . import attempts

_OPEN = frozenset(("requires_payment_method", "requires_confirmation", "requires_action"))
MOVES = {
    "confirmed": _OPEN,
    "captured": frozenset(("requires_capture",)),
    "canceled": _OPEN | {"requires_capture"},
    "updated": _OPEN,
}
_LABELS = (
    "description", "receipt_email", "setup_future_usage", "shipping", "statement_descriptor",
    "statement_descriptor_suffix", "transfer_group",
)  # fmt: skip
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
    body = _new(call)
    split.check(call, body)
    intent = call.world.insert(call.account, "payment_intent", body)
    if "payment_method" in given:
        _use_method(call, intent, given["payment_method"])
        call.world.save(intent)
    call.world.outbox.emit(call.account, "payment_intent.created", intent.body, call.origin)
    if given.get("confirm"):
        _confirm(call, intent)
    return intent.body


def _new(call: Call) -> Json:
    given, identifiers = call.parameters, call.world.identifiers
    intent_id = identifiers.new("pi")
    body: Json = {
        "id": intent_id,
        "object": "payment_intent",
        "amount": given["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": given.get("application_fee_amount"),
        "automatic_payment_methods": _automatic(given),
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": given.get("capture_method", "automatic_async"),
        "client_secret": f"{intent_id}_secret_{identifiers.new('', 25)[1:]}",
        "confirmation_method": given.get("confirmation_method", "automatic"),
        "created": call.world.clock.now(),
        "currency": given["currency"],
        "customer": given.get("customer"),
        "customer_account": None,
        "excluded_payment_method_types": given.get("excluded_payment_method_types"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "next_action": None,
        "on_behalf_of": given.get("on_behalf_of"),
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": _method_types(given),
        "processing": None,
        "review": None,
        "status": "requires_payment_method",
        "transfer_data": given.get("transfer_data"),
    }
    return body | {name: given.get(name) for name in _LABELS}


def _automatic(given: Json) -> Json | None:
    """Automatic methods are the default; only an explicit list of types switches them off."""
    if "allowed_payment_method_types" in given:
        return None
    chosen: Json = given.get("automatic_payment_methods") or {"enabled": True}
    if not chosen["enabled"]:
        return None
    return {"allow_redirects": "always"} | chosen


def _method_types(given: Json) -> list[str]:
    served = ["card", "us_bank_account"] if given["currency"] == "usd" else ["card"]
    wanted = given.get("allowed_payment_method_types") or served
    excluded = given.get("excluded_payment_method_types") or ()
    types = [kind for kind in served if kind in wanted and kind not in excluded]
    if not types:
        raise invalid("No valid payment method types for this PaymentIntent.", param="allowed_payment_method_types")
    return types


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
    intent = find(call)
    require(intent, "confirmed")
    changes = {name: call.parameters[name] for name in _LABELS if name in call.parameters}
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
        require(intent, "updated")
    if "customer" in given:
        intent.body["customer"] = customers.check_exists(call, given["customer"])
    changed = (*_LABELS, "amount", "application_fee_amount", "currency", "capture_method", "on_behalf_of")
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


def retrieve(call: Call) -> Json:
    return find(call).body


def list_all(call: Call) -> Json:
    wanted: dict[str, Any] = {}
    if "customer" in call.parameters:
        wanted["customer"] = call.parameters["customer"]
    return list_objects(call, "payment_intent", wanted)


def find(call: Call) -> Record:
    intent = call.world.store.find(call.account, "payment_intent", call.path_ids[0])
    if intent is None:
        error = missing_object("payment_intent", call.path_ids[0])
        error.fields["param"] = "intent"
        raise error
    return intent


def require(intent: Record, verb: str) -> None:
    if intent.body["status"] not in MOVES[verb]:
        raise unexpected_state(intent.body, verb)
