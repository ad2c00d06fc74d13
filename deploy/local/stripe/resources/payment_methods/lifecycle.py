"""PaymentMethods as payments use them: a `pm_card_*` name makes a fresh one at each use, as in Stripe's test mode."""

from ...state.store import Record
from ...wire.errors import Json, invalid, missing_reference
from ...world import Call
from .test_methods import TEST_METHODS, Behaviour, bank_face, card_face

_NOBODY: Json = {
    "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
    "email": None,
    "name": None,
    "phone": None,
    "tax_id": None,
}


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
    """What the test method behind a PaymentMethod does."""
    return TEST_METHODS[record.private["test_method"]]
