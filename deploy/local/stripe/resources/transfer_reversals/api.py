"""Reversals of a transfer as the API shows them. What they do to both balances is `lifecycle.py`.

Source: the specification of /v1/transfers/{id}/reversals. Together they stay within the transfer, and each within what
the connected account has: otherwise `balance_insufficient`, which Stripe never tries again by itself.
"""

from ...state.store import Record
from ...wire.errors import Json, invalid, missing_object, refused
from ...wire.parameters import merge_metadata
from ...world import Call
from ..application_fees import lifecycle as application_fees
from ..lists import list_objects
from ..transfers import api as transfers
from . import lifecycle
from .lifecycle import ReversalRequest


def check(given: Json) -> None:
    """Validation that needs no object: it runs before the idempotency key is looked at."""
    if given.get("amount", 1) < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param="amount")


def create(call: Call) -> Json:
    transfer, given = transfers.find(call), call.parameters
    left: int = transfer.body["amount"] - transfer.body["amount_reversed"]
    amount: int = given.get("amount", left)
    lifecycle.check(call.world, transfer, amount)
    if given.get("refund_application_fee"):
        _give_back_fee(call, transfer, amount)
    labels = merge_metadata({}, given.get("metadata"))
    return lifecycle.reverse(call.world, transfer, ReversalRequest(amount, metadata=labels), call.origin).body


def _give_back_fee(call: Call, transfer: Record, amount_minor: int) -> None:
    """In proportion to what is reversed of the transfer."""
    charge = call.world.store.find(call.account, "charge", transfer.body["source_transaction"] or "")
    fee = application_fees.of_charge(call.world, charge) if charge else None
    if fee is None:
        raise refused(f"Transfer {transfer.id} has no application fee to refund.", param="refund_application_fee")
    before: int = transfer.body["amount_reversed"]
    step = (before, before + amount_minor, transfer.body["amount"])
    application_fees.refund_in_proportion(call.world, fee, step, call.origin)


def list_all(call: Call) -> Json:
    return list_objects(call, "transfer_reversal", {"parent": transfers.find(call).id})


def retrieve(call: Call) -> Json:
    return _find(call).body


def update(call: Call) -> Json:
    reversal, transfer = _find(call), transfers.find(call)
    if "metadata" in call.parameters:
        reversal.body["metadata"] = merge_metadata(reversal.body["metadata"], call.parameters["metadata"])
        call.world.save(reversal)
        lifecycle.show_again(call.world, transfer, reversal.body)
    return reversal.body


def _find(call: Call) -> Record:
    reversal = call.world.store.find(call.account, "transfer_reversal", call.path_ids[1])
    if reversal is None or reversal.body["transfer"] != call.path_ids[0]:
        raise missing_object("transfer reversal", call.path_ids[1])
    return reversal
