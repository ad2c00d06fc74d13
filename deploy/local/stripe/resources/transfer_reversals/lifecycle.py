"""What a reversal does: it takes money of a transfer back out of the connected account's balance.

    platform                                connected account
    transfer_refund   +amount     <-        payment_refund   -amount

Both sides are written in the caller's transaction. Source: docs.stripe.com/connect/separate-charges-and-transfers.
"""

from dataclasses import dataclass, field

from ... import PLATFORM
from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json, refused
from ...world import World
from ..accounts import lifecycle as accounts
from ..balance import ledger
from ..transfers import destination_payments
from ..transfers import lifecycle as transfers
from ..transfers.lifecycle import SHOWN


@dataclass(frozen=True, slots=True)
class ReversalRequest:
    """How much of a transfer is taken back, in minor units, and the id of the refund that causes it, if one does."""

    amount_minor: int
    source_refund: str | None = None
    metadata: Json = field(default_factory=dict)


def reverse(world: World, transfer: Record, request: ReversalRequest, origin: Origin) -> Record:
    """Make a reversal, both sides; the caller has asked `check`, unless the account may go below zero."""
    reversal = world.insert(PLATFORM, "transfer_reversal", _new(world, transfer, request))
    payment = world.store.find(transfer.body["destination"], "charge", transfer.body["destination_payment"])
    assert payment is not None, "written in the transaction that made the transfer, and charges are never deleted"
    refund = destination_payments.make_refund(world, payment, reversal.body)
    amount = request.amount_minor
    booked = transfers.book(world, reversal, "transfer_refund", "transfer_reversal", amount, transfer)
    reversal.body["balance_transaction"] = booked["id"]
    returned = transfers.book(world, refund, "payment_refund", "refund", -amount, transfer)
    refund.body["balance_transaction"] = returned["id"]
    world.save(reversal)
    world.save(refund)
    _count(world, transfer, reversal.body)
    world.outbox.emit(PLATFORM, "transfer.reversed", transfer.body, origin)
    world.outbox.emit(refund.account, "refund.created", refund.body, origin)
    world.outbox.emit(refund.account, "charge.refunded", payment.body, origin)
    world.recorder.effect("transfer_reversal", PLATFORM, reversal.body, amount, origin)
    return reversal


def _new(world: World, transfer: Record, request: ReversalRequest) -> Json:
    return {
        "id": world.identifiers.new("trr"),
        "object": "transfer_reversal",
        "amount": request.amount_minor,
        "balance_transaction": None,
        "created": world.clock.now(),
        "currency": transfer.body["currency"],
        "destination_payment_refund": world.identifiers.new("pyr"),
        "metadata": request.metadata,
        "source_refund": request.source_refund,
        "transfer": transfer.id,
    }


def _count(world: World, transfer: Record, reversal: Json) -> None:
    body, listed = transfer.body, transfer.body["reversals"]
    body["amount_reversed"] += reversal["amount"]
    body["reversed"] = body["amount_reversed"] == body["amount"]
    listed["has_more"] = len(listed["data"]) == SHOWN or listed["has_more"]
    listed["data"] = [reversal, *listed["data"]][:SHOWN]
    world.save(transfer)


def check(world: World, transfer: Record, amount_minor: int) -> None:
    """Whether this much is left of the transfer, and there in the account: of money that is still on its way, what will
    be there when it has arrived.

    Raises:
        StripeError: 400, with `balance_insufficient` if the account has too little.
    """
    left = transfer.body["amount"] - transfer.body["amount_reversed"]
    if left == 0:
        raise refused(f"Transfer {transfer.id} is already fully reversed.", param="id")
    if amount_minor > left:
        raise refused(f"Reversal amount ({amount_minor}) is greater than unreversed amount ({left}).", param="amount")
    if not _covered(world, transfer, amount_minor):
        raise transfers.insufficient(f"to reverse {amount_minor} of {transfer.id} from {transfer.body['destination']}")


def _covered(world: World, transfer: Record, amount_minor: int) -> bool:
    if transfer.private["destination_charge"]:
        return True
    destination = accounts.find(world, transfer.body["destination"])
    assert destination is not None, "accounts are never deleted"
    if destination.private["reserves"]:
        return True
    moment = max(transfer.private["available_on"], world.clock.now())
    return ledger.available(world, destination.id, transfer.body["currency"], moment) >= amount_minor


def show_again(world: World, transfer: Record, reversal: Json) -> None:
    """A relabelled reversal, also inside its transfer."""
    listed = transfer.body["reversals"]
    listed["data"] = [reversal if shown["id"] == reversal["id"] else shown for shown in listed["data"]]
    world.save(transfer)
