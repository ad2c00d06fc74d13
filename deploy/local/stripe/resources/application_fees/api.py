"""Application fees and their refunds as the API shows them.

Source: the specification of /v1/application_fees. They are the platform's: a connected account sees none.
"""

from typing import Any

from ...state.store import Record
from ...wire.errors import Json, invalid, missing_object
from ...wire.parameters import merge_metadata
from ...world import Call
from ..lists import list_objects
from . import lifecycle
from .lifecycle import FeeRefundRequest


def retrieve(call: Call) -> Json:
    return _find(call).body


def list_all(call: Call) -> Json:
    wanted: dict[str, Any] = {}
    if "charge" in call.parameters:
        wanted["parent"] = call.parameters["charge"]
    return list_objects(call, "application_fee", wanted)


def check_refund(given: Json) -> None:
    """Validation that needs no object: it runs before the idempotency key is looked at."""
    if given.get("amount", 1) < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param="amount")


def create_refund(call: Call) -> Json:
    fee, given = _find(call), call.parameters
    amount: int = given.get("amount", fee.body["amount"] - fee.body["amount_refunded"])
    lifecycle.check_refund(fee, amount)
    request = FeeRefundRequest(amount, merge_metadata({}, given.get("metadata")))
    return lifecycle.make_refund(call.world, fee, request, call.origin).body


def list_refunds(call: Call) -> Json:
    return list_objects(call, "fee_refund", {"parent": _find(call).id})


def retrieve_refund(call: Call) -> Json:
    return _find_refund(call).body


def update_refund(call: Call) -> Json:
    refund, fee = _find_refund(call), _find(call)
    if "metadata" in call.parameters:
        previous = {"metadata": refund.body["metadata"]}
        refund.body["metadata"] = merge_metadata(refund.body["metadata"], call.parameters["metadata"])
        call.world.save(refund)
        lifecycle.show_again(call.world, fee, refund.body)
        call.world.outbox.emit(call.account, "application_fee.refund.updated", refund.body, call.origin, previous)
    return refund.body


def _find(call: Call) -> Record:
    fee = call.world.store.find(call.account, "application_fee", call.path_ids[0])
    if fee is None:
        raise missing_object("application fee", call.path_ids[0])
    return fee


def _find_refund(call: Call) -> Record:
    refund = call.world.store.find(call.account, "fee_refund", call.path_ids[1])
    if refund is None or refund.body["fee"] != call.path_ids[0]:
        raise missing_object("fee refund", call.path_ids[1])
    return refund
