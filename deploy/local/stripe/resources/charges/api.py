"""Charges as the API shows them: looked at and labelled; they are made by attempts to pay an intent.

Source: the specification of /v1/charges.
"""

from typing import Any

from ...state.store import Record
from ...wire.errors import Json, missing_object
from ...wire.parameters import merge_metadata
from ...world import Call
from ..customers.api import check_exists
from ..lists import list_rows, read_body

_FILTERS = {
    "customer": "customer = ?",
    "payment_intent": "parent = ?",
    "transfer_group": "json_extract(body, '$.transfer_group') = ?",
}
_LABELS = ("description", "receipt_email", "shipping", "transfer_group", "fraud_details")


def retrieve(call: Call) -> Json:
    return _find(call).body


def list_all(call: Call) -> Json:
    filters = {name: condition for name, condition in _FILTERS.items() if name in call.parameters}
    conditions = ["account = ?", "kind = 'charge'", *filters.values()]
    values = [call.account, *(call.parameters[name] for name in filters)]
    return list_rows(call, "objects", conditions, values, read_body, columns="body")


def wanted_of_charge(call: Call) -> dict[str, Any]:
    """The filters `charge` and `payment_intent` of what hangs on a charge: both come down to one charge, or none."""
    given = call.parameters
    wanted: dict[str, Any] = {"parent": given["charge"]} if "charge" in given else {}
    if "payment_intent" in given:
        intent = call.world.store.find(call.account, "payment_intent", given["payment_intent"])
        charge = intent.body["latest_charge"] if intent else None
        wanted["parent"] = charge if given.get("charge", charge) == charge else None
    return wanted


def update(call: Call) -> Json:
    """Change labels; emits `charge.updated` with the previous values."""
    charge, given = _find(call), call.parameters
    changes = {name: given[name] for name in _LABELS if name in given}
    if "customer" in given:
        changes["customer"] = check_exists(call, given["customer"])
    if "metadata" in given:
        changes["metadata"] = merge_metadata(charge.body["metadata"], given["metadata"])
    previous = {name: charge.body[name] for name in changes}
    charge.body |= changes
    call.world.save(charge)
    call.world.outbox.emit(call.account, "charge.updated", charge.body, call.origin, previous)
    return charge.body


def _find(call: Call) -> Record:
    charge = call.world.store.find(call.account, "charge", call.path_ids[0])
    if charge is None:
        raise missing_object("charge", call.path_ids[0])
    return charge
