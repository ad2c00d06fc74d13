"""The balance and its transactions as the API shows them. Source: /v1/balance, /v1/balance_transactions."""

from ...wire.errors import Json, invalid, missing_object, missing_reference
from ...world import Call
from ..lists import list_rows, read_body
from . import ledger

_FILTERS = {
    "source": "parent = ?",
    "type": "type = ?",
    "currency": "json_extract(body, '$.currency') = ?",
    "payout": "sequence IN (SELECT sequence FROM payout_contents WHERE payout = ?)",
}


def retrieve(call: Call) -> Json:
    """The balance: `available` and `pending` for each currency, in minor units."""
    return ledger.current(call.world, call.account)


def retrieve_transaction(call: Call) -> Json:
    record = call.world.store.find(call.account, "balance_transaction", call.path_ids[0])
    if record is None:
        raise missing_object("balance transaction", call.path_ids[0])
    return ledger.by_clock(call.world, record.body)


def list_transactions(call: Call) -> Json:
    """Filtered by source, type, currency or payout, newest first; each with its status as of now."""
    given = call.parameters
    filters = {name: condition for name, condition in _FILTERS.items() if name in given}
    values = [given[name] for name in filters]
    if "payout" in given:
        values[list(filters).index("payout")] = _reconciled(call, given["payout"])
    conditions = ["account = ?", "kind = 'balance_transaction'", *filters.values()]
    page = list_rows(call, "objects", conditions, [call.account, *values], read_body, columns="body")
    page["data"] = [ledger.by_clock(call.world, body) for body in page["data"]]
    return page


def _reconciled(call: Call, payout_id: str) -> str | None:
    """The payout whose contents can be listed: an automatic one, and nothing of it before it has been reconciled."""
    payout = call.world.store.find(call.account, "payout", payout_id)
    if payout is None:
        raise missing_reference("payout", payout_id, "payout")
    if not payout.body["automatic"]:
        raise invalid("Balance transactions can only be filtered on automatic payouts, not manual.", param="payout")
    return payout_id if payout.body["reconciliation_status"] == "completed" else None
