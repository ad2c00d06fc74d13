"""Customers: names for payments; nothing here moves money."""

from ...state.store import Record
from ...wire.errors import Json, missing_object, missing_reference
from ...wire.parameters import merge_metadata
from ...world import Call
from ..lists import list_objects

_PLAIN = ("address", "description", "email", "name", "phone", "shipping", "preferred_locales", "tax_exempt")


def create(call: Call) -> Json:
    given = call.parameters
    body: Json = {
        "id": call.world.identifiers.new("cus", 14),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": call.world.clock.now(),
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": call.world.identifiers.new("", 7)[1:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    body |= {name: given[name] for name in _PLAIN if name in given}
    call.world.insert(call.account, "customer", body)
    call.world.outbox.emit(call.account, "customer.created", body, call.origin)
    return body


def check_exists(call: Call, customer: str) -> str:
    """The customer's id.

    Raises:
        StripeError: 400 (`resource_missing`) if it does not exist in this account, or was deleted.
    """
    record = call.world.store.find(call.account, "customer", customer)
    if record is None or "deleted" in record.private:
        raise missing_reference("customer", customer, "customer")
    return customer


def retrieve(call: Call) -> Json:
    record = _find(call)
    return _tombstone(record) if "deleted" in record.private else record.body


def update(call: Call) -> Json:
    record = _find(call)
    if "deleted" in record.private:
        raise missing_object("customer", record.id)
    changes = {name: call.parameters[name] for name in _PLAIN if name in call.parameters}
    if "metadata" in call.parameters:
        changes["metadata"] = merge_metadata(record.body["metadata"], call.parameters["metadata"])
    previous = {name: record.body[name] for name in changes}
    record.body |= changes
    call.world.save(record)
    call.world.outbox.emit(call.account, "customer.updated", record.body, call.origin, previous)
    return record.body


def delete(call: Call) -> Json:
    """The customer stays in lists of old payments and is shown as deleted from now on."""
    record = _find(call)
    if "deleted" not in record.private:
        record.private["deleted"] = True
        call.world.save(record)
        call.world.outbox.emit(call.account, "customer.deleted", record.body, call.origin)
    return _tombstone(record)


def list_all(call: Call) -> Json:
    return list_objects(call, "customer", {})


def _find(call: Call) -> Record:
    record = call.world.store.find(call.account, "customer", call.path_ids[0])
    if record is None:
        raise missing_object("customer", call.path_ids[0])
    return record


def _tombstone(record: Record) -> Json:
    return {"id": record.id, "object": "customer", "deleted": True}
