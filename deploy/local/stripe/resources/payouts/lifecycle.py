"""The life of a payout: money leaves the balance at once, arrives at the bank by the clock, or comes back.

    pending -> in_transit -> paid -> failed
       |-> canceled (by hand only)

An automatic payout takes everything that is available and knows what it is made of: every balance transaction that no
automatic payout has taken yet, among them manual payouts and what came back from failed ones. The list of its contents
(itself included, so that it adds up to zero) is to be had once `reconciliation_status` is completed.
"""

from dataclasses import dataclass

from ... import PLATFORM
from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json
from ...world import World
from ..accounts import lifecycle as accounts
from ..balance import ledger

FAILURES = {
    "account_closed": "The bank account has been closed.",
    "account_frozen": "The bank account has been frozen.",
    "could_not_process": "The bank could not process this transfer.",
    "invalid_account_number": "The routing number seems correct, but the account number is invalid.",
    "no_account": "The bank account could not be located.",
}
_UNDERWAY = frozenset(("pending", "in_transit"))
_BANK_ACCOUNT = "ba_EmulatorBankAccount"


@dataclass(frozen=True, slots=True)
class PayoutRequest:
    """What is to be paid out, in minor units; `automatic` is by the schedule, otherwise by hand."""

    account: str
    currency: str
    amount_minor: int
    automatic: bool


def send(world: World, request: PayoutRequest, origin: Origin, labels: Json | None = None) -> Record:
    """Take the money out of the balance, which the caller has checked, and schedule the payout's way to the bank."""
    payout = world.insert(request.account, "payout", _new(world, request) | (labels or {}))
    booked = _book(world, payout, "payout", "payout", -request.amount_minor)
    payout.body["balance_transaction"] = booked["id"]
    world.save(payout)
    world.outbox.emit(request.account, "payout.created", payout.body, origin)
    world.recorder.effect("payout", request.account, payout.body, request.amount_minor, origin)
    world.schedule.add("send_payout", world.settings.payout_pending_seconds, request.account, payout.id)
    world.schedule.add_at("payout_arrives", payout.body["arrival_date"], request.account, payout.id)
    return payout


def _new(world: World, request: PayoutRequest) -> Json:
    now = world.clock.now()
    return {
        "id": world.identifiers.new("po"),
        "object": "payout",
        "amount": request.amount_minor,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": now + world.settings.payout_seconds,
        "automatic": request.automatic,
        "balance_transaction": None,
        "created": now,
        "currency": request.currency,
        "description": "STRIPE PAYOUT" if request.automatic else None,
        "destination": _BANK_ACCOUNT,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "in_progress" if request.automatic else "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "pending",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
    }


def _book(world: World, payout: Record, kind: str, category: str, amount_minor: int) -> Json:
    return ledger.book(
        world,
        account=payout.account,
        kind=kind,
        reporting_category=category,
        source=payout.id,
        amount_minor=amount_minor,
        fee_minor=0,
        currency=payout.body["currency"],
        available_on=world.clock.now(),
        description=payout.body["description"],
    )


def may(world: World, account: str) -> bool:
    """Whether payouts are enabled for the account; always for the platform."""
    if account == PLATFORM:
        return True
    found = accounts.find(world, account)
    return found is not None and bool(found.body["payouts_enabled"])


def pay_out_everything(world: World, account: str) -> list[Record]:
    """What the daily schedule does: one payout for each currency in which something is available."""
    if not may(world, account):
        return []
    currencies = [row[0] for row in world.store.execute("SELECT currency FROM totals WHERE account = ?", (account,))]
    amounts = {currency: ledger.available(world, account, currency) for currency in sorted(currencies)}
    return [_automatic(world, account, currency, amount) for currency, amount in amounts.items() if amount > 0]


def _automatic(world: World, account: str, currency: str, amount_minor: int) -> Record:
    payout = send(world, PayoutRequest(account, currency, amount_minor, automatic=True), Origin())
    world.store.execute(
        "INSERT INTO payout_contents (sequence, payout)"
        " SELECT sequence, ? FROM objects AS o WHERE account = ? AND kind = 'balance_transaction'"
        " AND json_extract(body, '$.currency') = ? AND json_extract(body, '$.available_on') <= ?"
        " AND NOT EXISTS (SELECT 1 FROM payout_contents AS c WHERE c.sequence = o.sequence)",
        (payout.id, account, currency, world.clock.now()),
    )
    world.schedule.add("reconcile_payout", world.settings.payout_reconciliation_seconds, account, payout.id)
    return payout


def reconcile(world: World, account: str, payout_id: str) -> None:
    """From now on the contents of an automatic payout can be listed."""
    payout = world.store.find(account, "payout", payout_id)
    if payout is not None and payout.body["reconciliation_status"] == "in_progress":
        payout.body["reconciliation_status"] = "completed"
        world.save(payout)
        world.outbox.emit(account, "payout.reconciliation_completed", payout.body, Origin())


def hand_to_bank(world: World, account: str, payout_id: str) -> None:
    """From now on it is `in_transit` and can no longer be canceled."""
    payout = world.store.find(account, "payout", payout_id)
    if payout is not None and payout.body["status"] == "pending":
        payout.body["status"] = "in_transit"
        world.save(payout)
        world.outbox.emit(account, "payout.updated", payout.body, Origin(), {"status": "pending"})


def arrive(world: World, account: str, payout_id: str) -> bool:
    """False: it was not underway."""
    payout = world.store.find(account, "payout", payout_id)
    if payout is None or payout.body["status"] not in _UNDERWAY:
        return False
    payout.body |= {"status": "paid", "trace_id": {"status": "supported", "value": f"trace_{payout.sequence}"}}
    world.save(payout)
    world.outbox.emit(account, "payout.paid", payout.body, Origin())
    return True


def fail(world: World, account: str, payout_id: str, code: str) -> bool:
    """The bank sends it back, also days after it was paid. False: it had come back already."""
    payout = world.store.find(account, "payout", payout_id)
    if payout is None or payout.body["status"] in ("failed", "canceled"):
        return False
    payout.body |= {"status": "failed", "failure_code": code, "failure_message": FAILURES[code]}
    _bring_back(world, payout, "payout_failure", Origin())
    world.outbox.emit(account, "payout.failed", payout.body, Origin())
    return True


def cancel(world: World, payout: Record, origin: Origin) -> bool:
    """Only as long as no bank has heard of it."""
    if payout.body["status"] != "pending":
        return False
    payout.body["status"] = "canceled"
    _bring_back(world, payout, "payout_cancel", origin)
    world.outbox.emit(payout.account, "payout.canceled", payout.body, origin)
    return True


def _bring_back(world: World, payout: Record, kind: str, origin: Origin) -> None:
    booked = _book(world, payout, kind, "payout_reversal", payout.body["amount"])
    payout.body["failure_balance_transaction"] = booked["id"]
    payout.body["trace_id"] = {"status": "unsupported", "value": None}
    world.save(payout)
    world.recorder.effect(kind, payout.account, payout.body, payout.body["amount"], origin)
