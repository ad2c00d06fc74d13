"""Top-ups as the API shows them: money from the platform's bank account into its balance.

Source: the specification of /v1/topups. It comes from the one unnamed bank account.
"""

from ...state.store import Record
from ...wire.errors import Json, invalid, missing_object, refused
from ...wire.parameters import merge_metadata
from ...world import Call
from ..balance.amounts import check_currency
from ..lists import list_rows, read_body

_FILTERS = ("amount", "status")


def check(given: Json) -> None:
    """Validation that needs no object: it runs before the idempotency key is looked at."""
    given["currency"] = check_currency(given["currency"])
    if given["amount"] < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param="amount")
    if len(given.get("statement_descriptor", "")) > 15:
        raise invalid("A statement descriptor has at most 15 characters.", param="statement_descriptor")


def create(call: Call) -> Json:
    topup = call.world.insert(call.account, "topup", _new(call))
    call.world.outbox.emit(call.account, "topup.created", topup.body, call.origin)
    call.world.schedule.add("topup_arrives", call.world.settings.topup_seconds, call.account, topup.id)
    return topup.body


def _new(call: Call) -> Json:
    given, now = call.parameters, call.world.clock.now()
    return {
        "id": call.world.identifiers.new("tu"),
        "object": "topup",
        "amount": given["amount"],
        "balance_transaction": None,
        "created": now,
        "currency": given["currency"],
        "description": given.get("description"),
        "expected_availability_date": now + int(call.world.settings.topup_seconds),
        "failure_code": None,
        "failure_message": None,
        "initiated_by": "user",
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "source": None,
        "statement_descriptor": given.get("statement_descriptor"),
        "status": "pending",
        "transfer_group": given.get("transfer_group"),
    }


def retrieve(call: Call) -> Json:
    return _find(call).body


def list_all(call: Call) -> Json:
    conditions, values = ["account = ?", "kind = 'topup'"], [call.account]
    for name in _FILTERS:
        if name in call.parameters:
            conditions.append(f"json_extract(body, '$.{name}') = ?")
            values.append(call.parameters[name])
    return list_rows(call, "objects", conditions, values, read_body, columns="body")


def update(call: Call) -> Json:
    topup, given = _find(call), call.parameters
    if "description" in given:
        topup.body["description"] = given["description"]
    topup.body["metadata"] = merge_metadata(topup.body["metadata"], given.get("metadata"))
    call.world.save(topup)
    return topup.body


def cancel(call: Call) -> Json:
    topup = _find(call)
    if topup.body["status"] != "pending":
        raise refused(f"This top-up could not be canceled because it has a status of {topup.body['status']}.")
    topup.body["status"] = "canceled"
    call.world.save(topup)
    call.world.outbox.emit(call.account, "topup.canceled", topup.body, call.origin)
    return topup.body


def _find(call: Call) -> Record:
    topup = call.world.store.find(call.account, "topup", call.path_ids[0])
    if topup is None:
        raise missing_object("top-up", call.path_ids[0])
    return topup
