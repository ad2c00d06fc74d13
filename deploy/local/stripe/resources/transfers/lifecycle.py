"""The way of a transfer: out of the platform's balance, into the connected account's, and back by reversals.

    platform                                connected account
    transfer          -amount     ->        payment          +amount
    transfer_refund   +amount     <-        payment_refund   -amount

Both sides are written in the caller's transaction, and both become available at the same moment: at once when the
transfer was paid from what was available, with the charge's money when it names a charge (`source_transaction`).
There is no status: a transfer that exists has been made.
"""

from dataclasses import dataclass, field

from ... import PLATFORM
from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json, StripeError, refused
from ...world import World
from ..accounts import lifecycle as accounts
from ..balance import ledger
from . import destination_payments

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Sending:
    """What is to be sent. `labels` are description, metadata and transfer_group of the transfer."""

    destination: str
    amount_minor: int
    currency: str
    available_on: int
    source_transaction: str | None = None
    labels: Json = field(default_factory=dict)
    payment_data: Json = field(default_factory=dict)
    destination_charge: bool = False
    application_fee_minor: int = 0


def check_may_receive(account: Record, param: str) -> None:
    if not accounts.may(account, "transfers"):
        message = (
            "Your destination account needs to have at least one of the following capabilities enabled:"
            " transfers, crypto_transfers, legacy_payments"
        )
        raise refused(message, code="insufficient_capabilities_for_transfer", param=param)


def group_of(charge: Json) -> str:
    """The charge's own group, or one made from its intent."""
    return str(charge["transfer_group"] or f"group_{charge['payment_intent']}")


def send(world: World, sending: Sending, origin: Origin) -> tuple[Record, Record]:
    """The transfer, and the payment that it is in the connected account."""
    transfer = world.insert(PLATFORM, "transfer", _new(world, sending), _private(sending))
    payment = destination_payments.receive(world, transfer.body, sending.payment_data)
    transfer.body["balance_transaction"] = _book(world, transfer, "transfer", "transfer", -sending.amount_minor)["id"]
    received = _book(world, payment, "payment", "charge", sending.amount_minor, transfer, sending.application_fee_minor)
    payment.body["balance_transaction"] = received["id"]
    world.save(transfer)
    world.save(payment)
    world.outbox.emit(PLATFORM, "transfer.created", transfer.body, origin)
    world.outbox.emit(payment.account, "payment.created", payment.body, origin)
    world.recorder.effect("transfer", PLATFORM, transfer.body, sending.amount_minor, origin)
    return transfer, payment


def _private(sending: Sending) -> Json:
    return {"available_on": sending.available_on, "destination_charge": sending.destination_charge}


def _new(world: World, sending: Sending) -> Json:
    transfer_id = world.identifiers.new("tr")
    url = f"/v1/transfers/{transfer_id}/reversals"
    return {
        "id": transfer_id,
        "object": "transfer",
        "amount": sending.amount_minor,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": world.clock.now(),
        "currency": sending.currency,
        "description": None,
        "destination": sending.destination,
        "destination_payment": world.identifiers.new("py"),
        "livemode": False,
        "metadata": {},
        "reversals": {"object": "list", "data": [], "has_more": False, "url": url},
        "reversed": False,
        "source_transaction": sending.source_transaction,
        "source_type": "card",
        "transfer_group": None,
    } | sending.labels


def _book(
    world: World,
    moved: Record,
    kind: str,
    category: str,
    amount_minor: int,
    transfer: Record | None = None,
    application_fee_minor: int = 0,
) -> Json:
    """What moves a transfer's money, on either side, is available when the transfer's money is."""
    available_on: int = (transfer or moved).private["available_on"]
    return ledger.book(
        world,
        account=moved.account,
        kind=kind,
        reporting_category=category,
        source=moved.id,
        amount_minor=amount_minor,
        fee_minor=0,
        application_fee_minor=application_fee_minor,
        currency=moved.body["currency"],
        available_on=max(available_on, world.clock.now()),
        description=moved.body.get("description"),
    )


def sent_from(world: World, charge: Record) -> int:
    """What transfers have taken from a charge; a reversal gives nothing of it back, as at Stripe."""
    return sum(transfer.body["amount"] for transfer in world.store.children(charge, "transfer"))


@dataclass(frozen=True, slots=True)
class TakingBack:
    """What is to be taken back of a transfer, and the refund that is the reason, if one is."""

    amount_minor: int
    source_refund: str | None = None
    metadata: Json = field(default_factory=dict)


def take_back(world: World, transfer: Record, taking: TakingBack, origin: Origin) -> Record:
    """The caller has asked `check_reversal`, unless the account may go below zero."""
    reversal = world.insert(PLATFORM, "transfer_reversal", _new_reversal(world, transfer, taking))
    payment = world.store.find(transfer.body["destination"], "charge", transfer.body["destination_payment"])
    assert payment is not None, "written in the transaction that made the transfer, and charges are never deleted"
    refund = destination_payments.give_back(world, payment, reversal.body)
    amount = taking.amount_minor
    booked = _book(world, reversal, "transfer_refund", "transfer_reversal", amount, transfer)
    reversal.body["balance_transaction"] = booked["id"]
    refund.body["balance_transaction"] = _book(world, refund, "payment_refund", "refund", -amount, transfer)["id"]
    world.save(reversal)
    world.save(refund)
    _count(world, transfer, reversal.body)
    world.outbox.emit(PLATFORM, "transfer.reversed", transfer.body, origin)
    world.outbox.emit(refund.account, "refund.created", refund.body, origin)
    world.outbox.emit(refund.account, "charge.refunded", payment.body, origin)
    world.recorder.effect("transfer_reversal", PLATFORM, reversal.body, amount, origin)
    return reversal


def _new_reversal(world: World, transfer: Record, taking: TakingBack) -> Json:
    return {
        "id": world.identifiers.new("trr"),
        "object": "transfer_reversal",
        "amount": taking.amount_minor,
        "balance_transaction": None,
        "created": world.clock.now(),
        "currency": transfer.body["currency"],
        "destination_payment_refund": world.identifiers.new("pyr"),
        "metadata": taking.metadata,
        "source_refund": taking.source_refund,
        "transfer": transfer.id,
    }


def _count(world: World, transfer: Record, reversal: Json) -> None:
    body, listed = transfer.body, transfer.body["reversals"]
    body["amount_reversed"] += reversal["amount"]
    body["reversed"] = body["amount_reversed"] == body["amount"]
    listed["has_more"] = len(listed["data"]) == _SHOWN or listed["has_more"]
    listed["data"] = [reversal, *listed["data"]][:_SHOWN]
    world.save(transfer)


def check_reversal(world: World, transfer: Record, amount_minor: int) -> None:
    """Left of the transfer, and there in the account: of money that is still on its way, what will be there then."""
    left = transfer.body["amount"] - transfer.body["amount_reversed"]
    if left == 0:
        raise refused(f"Transfer {transfer.id} is already fully reversed.", param="id")
    if amount_minor > left:
        raise refused(f"Reversal amount ({amount_minor}) is greater than unreversed amount ({left}).", param="amount")
    if not _covered(world, transfer, amount_minor):
        raise insufficient(f"to reverse {amount_minor} of {transfer.id} from {transfer.body['destination']}")


def _covered(world: World, transfer: Record, amount_minor: int) -> bool:
    if transfer.private["destination_charge"]:
        return True
    destination = accounts.find(world, transfer.body["destination"])
    assert destination is not None, "accounts are never deleted"
    if destination.private["reserves"]:
        return True
    moment = max(transfer.private["available_on"], world.clock.now())
    return ledger.available(world, destination.id, transfer.body["currency"], moment) >= amount_minor


def insufficient(purpose: str) -> StripeError:
    return refused(f"Insufficient available funds {purpose}.", code="balance_insufficient")


def show_again(world: World, transfer: Record, reversal: Json) -> None:
    """A relabelled reversal, also inside its transfer."""
    listed = transfer.body["reversals"]
    listed["data"] = [reversal if shown["id"] == reversal["id"] else shown for shown in listed["data"]]
    world.save(transfer)
