"""PaymentMethods as the API shows them: made from a test token, attached to a customer, detached.

Source: the specification of /v1/payment_methods.
"""

from typing import Any

from ...state.store import Record
from ...wire.errors import Json, invalid, missing_object, missing_reference
from ...wire.parameters import merge_metadata
from ...world import Call
from ..lists import list_objects
from . import lifecycle
from .test_methods import TEST_METHODS


def create(call: Call) -> Json:
    given = call.parameters
    token = given.get("card", {}).get("token")
    if given["type"] != "card" or token is None:
        message = "The emulator takes no card or bank numbers: use card[token]=tok_visa, or a pm_card_* name directly."
        raise invalid(message, param="card")
    name = token.replace("tok_", "pm_card_", 1)
    if name not in TEST_METHODS:
        raise missing_reference("token", token, "card[token]")
    record = lifecycle.make(call, name)
    record.body["metadata"] = merge_metadata({}, given.get("metadata"))
    record.body["billing_details"] |= given.get("billing_details", {})
    call.world.save(record)
    return record.body


def retrieve(call: Call) -> Json:
    return find(call).body


def find(call: Call) -> Record:
    record = call.world.store.find(call.account, "payment_method", call.path_ids[0])
    if record is None:
        raise missing_object("PaymentMethod", call.path_ids[0])
    return record


def update(call: Call) -> Json:
    record = find(call)
    record.body["metadata"] = merge_metadata(record.body["metadata"], call.parameters.get("metadata"))
    record.body["billing_details"] |= call.parameters.get("billing_details", {})
    call.world.save(record)
    call.world.outbox.emit(call.account, "payment_method.updated", record.body, call.origin)
    return record.body


def list_all(call: Call) -> Json:
    wanted: dict[str, Any] = {name: call.parameters[name] for name in ("customer", "type") if name in call.parameters}
    return list_objects(call, "payment_method", wanted)


def list_of_customer(call: Call) -> Json:
    wanted: dict[str, Any] = {"customer": call.path_ids[0]}
    if "type" in call.parameters:
        wanted["type"] = call.parameters["type"]
    return list_objects(call, "payment_method", wanted)


def attach(call: Call) -> Json:
    customer = call.parameters["customer"]
    if call.world.store.find(call.account, "customer", customer) is None:
        raise missing_reference("customer", customer, "customer")
    name = call.path_ids[0]
    record = lifecycle.make(call, name) if name in TEST_METHODS else find(call)
    if record.body["customer"] not in (None, customer):
        raise invalid("The payment method you provided has already been attached to a customer.")
    record.body["customer"] = customer
    call.world.save(record)
    call.world.outbox.emit(call.account, "payment_method.attached", record.body, call.origin)
    return record.body


def detach(call: Call) -> Json:
    record = find(call)
    if record.body["customer"] is None:
        raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
    previous = {"customer": record.body["customer"]}
    record.body["customer"] = None
    call.world.save(record)
    call.world.outbox.emit(call.account, "payment_method.detached", record.body, call.origin, previous)
    return record.body
