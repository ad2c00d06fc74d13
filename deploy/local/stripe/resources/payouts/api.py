"""Payouts as the API shows them: made by hand, looked at, labelled, canceled.

Source: the specification of /v1/payouts. There is one bank account, which nobody names.
"""

from ...state.store import Record
from ...wire.errors import Json, invalid, missing_object, refused
from ...wire.parameters import merge_metadata
from ...world import Call
from ..balance import ledger
from ..balance.amounts import check_currency
from ..lists import list_rows, read_body
from . import lifecycle
from .lifecycle import PayoutRequest


def check(given: Json) -> None:
    """Validation that needs no object: it runs before the idempotency key is looked at."""
    given["currency"] = check_currency(given["currency"])
    if given["amount"] < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param="amount")
    if len(given.get("statement_descriptor", "")) > 22:
        raise invalid("A statement descriptor has at most 22 characters.", param="statement_descriptor")


def create(call: Call) -> Json:
    """By hand: it may take no more than is available, and says nothing of what it is made of."""
    given = call.parameters
    if not lifecycle.may(call.world, call.account):
        raise refused("Payouts are not enabled for this account.", code="payouts_not_allowed")
    available = ledger.available(call.world, call.account, given["currency"])
    if given["amount"] > available:
        message = f"You have insufficient funds in your Stripe account for this payout: {available} are available."
        raise refused(message, code="balance_insufficient", param="amount")
    labels: Json = {name: given[name] for name in ("description", "statement_descriptor") if name in given}
    labels["metadata"] = merge_metadata({}, given.get("metadata"))
    request = PayoutRequest(call.account, given["currency"], given["amount"], automatic=False)
    return lifecycle.send(call.world, request, call.origin, labels).body


def retrieve(call: Call) -> Json:
    return _find(call).body


def list_all(call: Call) -> Json:
    conditions, values = ["account = ?", "kind = 'payout'"], [call.account]
    if "status" in call.parameters:
        conditions.append("json_extract(body, '$.status') = ?")
        values.append(call.parameters["status"])
    return list_rows(call, "objects", conditions, values, read_body, columns="body")


def update(call: Call) -> Json:
    payout = _find(call)
    if "metadata" in call.parameters:
        previous = {"metadata": payout.body["metadata"]}
        payout.body["metadata"] = merge_metadata(payout.body["metadata"], call.parameters["metadata"])
        call.world.save(payout)
        call.world.outbox.emit(call.account, "payout.updated", payout.body, call.origin, previous)
    return payout.body


def cancel(call: Call) -> Json:
    payout = _find(call)
    if payout.body["automatic"]:
        raise refused("Automatic payouts cannot be canceled.")
    if not lifecycle.cancel(call.world, payout, call.origin):
        message = f"This payout could not be canceled because it has a status of {payout.body['status']}."
        raise refused(message)
    return payout.body


def _find(call: Call) -> Record:
    payout = call.world.store.find(call.account, "payout", call.path_ids[0])
    if payout is None:
        raise missing_object("payout", call.path_ids[0])
    return payout
