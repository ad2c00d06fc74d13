"""The life of a refund: money leaves the balance, arrives later, comes back, or waits until there is some.

Each step writes the refund, the charge, the ledger, the events and the recorder's row in the caller's transaction, and
asks the refund's status first, so a step that comes too late does nothing. Succeeded is not final: a refund can fail
weeks later, and then the money is in our balance again and the buyer has none.

    waiting for funds -> pending -> succeeded -> failed
                            |-> requires_action -> canceled
"""

from dataclasses import dataclass

from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json
from ...world import World
from ..balance import ledger
from ..early_fraud_warnings import lifecycle as early_fraud_warnings
from ..payment_methods.lifecycle import behaviour_of
from ..payment_methods.test_methods import Behaviour

FAILURE_REASONS = frozenset(
    (
        "charge_for_pending_refund_disputed", "declined", "expired_or_canceled_card", "insufficient_funds",
        "lost_or_stolen_card", "merchant_request", "unknown",
    )
)  # fmt: skip
_ACTION_SECONDS = 45 * 24 * 3600  # how long the buyer may take to say where the money shall go


@dataclass(frozen=True, slots=True)
class Ending:
    """failed or canceled, and why: the money is ours again."""

    status: str
    reason: str | None = None


def start(world: World, refund: Record, charge: Record, origin: Origin) -> None:
    """Take the money and reserve it on the charge; a card waits for funds, another method fails without them."""
    card = behaviour(world, refund).kind == "card"
    enough = world.overdraws or ledger.available(world, refund.account, refund.body["currency"]) >= _amount(refund)
    if not enough and not card:
        refund.body |= {"status": "failed", "failure_reason": "insufficient_funds"}
        world.save(refund)
        world.outbox.emit(refund.account, "refund.created", refund.body, origin)
        world.outbox.emit(refund.account, "refund.failed", refund.body, origin)
        return
    if enough:
        _send(world, refund, origin)
    else:
        refund.body["pending_reason"] = "insufficient_funds"
        world.save(refund)
    _reserve(world, charge, _amount(refund))
    world.outbox.emit(refund.account, "refund.created", refund.body, origin)
    world.outbox.emit(refund.account, "charge.refunded", charge.body, origin)
    early_fraud_warnings.review(world, charge, origin)


def behaviour(world: World, refund: Record) -> Behaviour:
    """What the test method that paid does with a refund."""
    method = world.store.find(refund.account, "payment_method", refund.body["payment_method"])
    assert method is not None, "a refund names the method of its charge, and methods are never deleted"
    return behaviour_of(method)


def _amount(refund: Record) -> int:
    amount: int = refund.body["amount"]
    return amount


def _reserve(world: World, charge: Record, amount_minor: int) -> None:
    """A negative amount gives the reservation back."""
    charge.body["amount_refunded"] += amount_minor
    charge.body["refunded"] = charge.body["amount_refunded"] == charge.body["amount"]
    world.save(charge)


def _send(world: World, refund: Record, origin: Origin) -> None:
    """The money leaves the balance now; whether it has arrived is the method's business."""
    by_card = refund.id.startswith("re_")
    booked = _book(world, refund, "refund" if by_card else "payment_refund", "refund", -_amount(refund))
    refund.body["balance_transaction"] = booked["id"]
    way, settings = behaviour(world, refund).refund, world.settings
    if way == "pending":
        refund.body |= {"status": "pending", "pending_reason": "processing"}
        world.schedule.add("settle_refund", settings.refund_seconds, refund.account, refund.id)
    else:
        refund.body["status"] = "succeeded"
        refund.body.pop("pending_reason", None)
    if way == "fails_later":
        world.schedule.add("fail_refund", settings.refund_seconds, refund.account, refund.id)
    world.save(refund)
    world.recorder.effect("refund", refund.account, refund.body, _amount(refund), origin)


def _book(world: World, refund: Record, kind: str, category: str, amount_minor: int) -> Json:
    """Stripe's processing fee of the charge does not come back, and a refund costs none."""
    return ledger.book(
        world,
        account=refund.account,
        kind=kind,
        reporting_category=category,
        source=refund.id,
        amount_minor=amount_minor,
        fee_minor=0,
        currency=refund.body["currency"],
        available_on=world.clock.now(),
        description=f"REFUND FOR CHARGE ({refund.body['charge']})",
    )


def emit_updated(world: World, refund: Record, origin: Origin, previous: Json) -> None:
    """Emit a change of a refund, also as `charge.refund.updated`: the deprecated event, which Stripe still sends."""
    for event_type in ("refund.updated", "charge.refund.updated"):
        world.outbox.emit(refund.account, event_type, refund.body, origin, previous)


def fund_waiting(world: World, account: str) -> None:
    """Money has come: refunds that wait for it go out, oldest first, as far as it reaches."""
    rows = world.store.execute(
        "SELECT id FROM objects WHERE account = ? AND kind = 'refund'"
        " AND json_extract(body, '$.pending_reason') = 'insufficient_funds' ORDER BY sequence",
        (account,),
    ).fetchall()
    for (refund_id,) in rows:
        refund = world.store.find(account, "refund", refund_id)
        assert refund is not None, "found a line above, in the same transaction"
        available = ledger.available(world, account, refund.body["currency"])
        if world.overdraws or available >= _amount(refund):
            _send_at_last(world, refund)


def _send_at_last(world: World, refund: Record) -> None:
    previous = {"balance_transaction": None, "pending_reason": "insufficient_funds"}
    _send(world, refund, Origin())
    emit_updated(world, refund, Origin(), previous | {"status": "pending"})


def arrive(world: World, account: str, refund_id: str) -> None:
    """By the clock; while the buyer is being asked, no clock helps."""
    refund = world.store.find(account, "refund", refund_id)
    if refund is not None and refund.body["status"] == "pending":
        settle(world, account, refund_id)


def settle(world: World, account: str, refund_id: str) -> bool:
    """The money has arrived with the buyer. False: the refund was not on its way."""
    refund = world.store.find(account, "refund", refund_id)
    if refund is None or refund.body["status"] not in ("pending", "requires_action"):
        return False
    if refund.body["balance_transaction"] is None:
        _send(world, refund, Origin())
    previous = {"status": refund.body["status"]}
    refund.body["status"] = "succeeded"
    refund.body.pop("pending_reason", None)
    refund.body.pop("next_action", None)
    world.save(refund)
    emit_updated(world, refund, Origin(), previous)
    return True


def ask_buyer(world: World, account: str, refund_id: str) -> bool:
    """A pending refund that needs the buyer to say where the money shall go. False: it was not pending."""
    refund = world.store.find(account, "refund", refund_id)
    if refund is None or refund.body["status"] != "pending":
        return False
    now = world.clock.now()
    sent = {"email_sent_at": now, "email_sent_to": "buyer@emulator.invalid"}
    details = {"email_sent": sent, "expires_at": now + _ACTION_SECONDS}
    refund.body |= {
        "status": "requires_action",
        "next_action": {"type": "display_details", "display_details": details},
    }
    refund.body.pop("pending_reason", None)
    world.save(refund)
    emit_updated(world, refund, Origin(), {"status": "pending"})
    return True


def give_up_pending(world: World, charge: Record) -> None:
    """The buyer's bank has taken the money already: what is still on its way to the buyer comes back."""
    for refund in world.store.children(charge, "refund"):
        if refund.body["status"] == "pending":
            end(world, refund, Ending("failed", "charge_for_pending_refund_disputed"), Origin())


def fail(world: World, account: str, refund_id: str, reason: str = "expired_or_canceled_card") -> bool:
    """Now, or long after it has succeeded. False: it had already ended otherwise, or it is a transfer's reversal."""
    refund = world.store.find(account, "refund", refund_id)
    if refund is None or refund.body["status"] in ("failed", "canceled") or refund.body["source_transfer_reversal"]:
        return False
    end(world, refund, Ending("failed", reason), Origin())
    return True


def end(world: World, refund: Record, ending: Ending, origin: Origin) -> None:
    """The money comes back to us, and the charge can be refunded again."""
    previous = {"status": refund.body["status"]}
    refund.body["status"] = ending.status
    if ending.reason is not None:
        refund.body["failure_reason"] = ending.reason
    refund.body.pop("pending_reason", None)
    refund.body.pop("next_action", None)
    if refund.body["balance_transaction"] is not None:
        booked = _book(world, refund, "refund_failure", "refund_failure", _amount(refund))
        refund.body["failure_balance_transaction"] = booked["id"]
        world.recorder.effect("refund_failure", refund.account, refund.body, _amount(refund), origin)
    world.save(refund)
    charge = world.store.find(refund.account, "charge", refund.body["charge"])
    assert charge is not None, "a refund names its charge, and charges are never deleted"
    _reserve(world, charge, -_amount(refund))
    emit_updated(world, refund, origin, previous)
    if ending.status == "failed":
        world.outbox.emit(refund.account, "refund.failed", refund.body, origin)
