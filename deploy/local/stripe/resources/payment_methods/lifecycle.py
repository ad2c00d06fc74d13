"""PaymentMethods: a `pm_card_*` name makes a fresh method with its own id at each use, as in Stripe's test mode."""

from typing import Any

from ...state.store import Record
from ...wire.errors import Json, invalid, missing_object, missing_reference
from ...wire.parameters import merge_metadata
from ...world import Call
from ..lists import list_objects
from .test_methods import TEST_METHODS, Behaviour, bank_face, card_face

_NOBODY: Json = {
    "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
    "email": None,
    "name": None,
    "phone": None,
    "tax_id": None,
}


def create(call: Call) -> Json:
    given = call.parameters
    token = given.get("card", {}).get("token")
    if given["type"] != "card" or token is None:
        message = "The emulator takes no card or bank numbers: use card[token]=tok_visa, or a pm_card_* name directly."
        raise invalid(message, param="card")
    name = token.replace("tok_", "pm_card_", 1)
    if name not in TEST_METHODS:
        raise missing_reference("token", token, "card[token]")
    record = make(call, name)
    record.body["metadata"] = merge_metadata({}, given.get("metadata"))
    record.body["billing_details"] |= given.get("billing_details", {})
    call.world.save(record)
    return record.body


def make(call: Call, name: str, customer: str | None = None) -> Record:
    """A fresh PaymentMethod that behaves like the test method `name`."""
    behaviour = TEST_METHODS[name]
    body: Json = {
        "id": call.world.identifiers.new("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": _NOBODY | {},
        "created": call.world.clock.now(),
        "customer": customer,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": behaviour.kind,
    }
    body[behaviour.kind] = card_face(behaviour) if behaviour.kind == "card" else bank_face(behaviour)
    return call.world.insert(call.account, "payment_method", body, {"test_method": name})


def resolve(call: Call, given: str, customer: str | None) -> Record:
    """The method a payment names: a test name makes a new one, an id must exist and belong to the same customer."""
    if given in TEST_METHODS:
        return make(call, given)
    record = call.world.store.find(call.account, "payment_method", given)
    if record is None:
        raise missing_reference("PaymentMethod", given, "payment_method")
    owner = record.body["customer"]
    if owner is not None and owner != customer:
        message = (
            f"The provided PaymentMethod {given} belongs to a Customer; include that customer in the PaymentIntent."
        )
        raise invalid(message, param="payment_method")
    return record


def behaviour_of(record: Record) -> Behaviour:
    return TEST_METHODS[record.private["test_method"]]


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
    record = make(call, name) if name in TEST_METHODS else find(call)
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
