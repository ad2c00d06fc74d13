"""Application fees: the platform's part of a payment in a connected account, and its way back.

The payer's balance transaction shows it as a fee, so the account gets its payment less the fee; the platform gets it as
a row of its own. A fee that is given back is an adjustment in the account and an `application_fee_refund` here.
"""

from dataclasses import dataclass, field

from ... import PLATFORM
from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json, refused
from ...world import World
from ..balance import ledger
from ..balance.amounts import proportion

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class FeeCollection:
    """`payment` is the charge in the connected account; `originating` the platform's charge of a destination charge."""

    payment: Record
    amount_minor: int
    available_on: int
    originating: Record | None = None


def collect(world: World, collection: FeeCollection, origin: Origin) -> Record:
    """Take the fee: books both sides and names it on the charges, which the caller saves."""
    fee = world.insert(PLATFORM, "application_fee", _new(world, collection))
    amount = collection.amount_minor
    booked = _book(world, fee, "application_fee", "platform_earning", amount, collection.available_on)
    fee.body["balance_transaction"] = booked["id"]
    world.save(fee)
    for charge in (collection.payment, collection.originating):
        if charge is not None:
            charge.body |= {"application_fee": fee.id, "application_fee_amount": amount}
    world.outbox.emit(PLATFORM, "application_fee.created", fee.body, origin)
    world.recorder.effect("application_fee", PLATFORM, fee.body, amount, origin)
    return fee


def _new(world: World, collection: FeeCollection) -> Json:
    fee_id, payment = world.identifiers.new("fee"), collection.payment
    return {
        "id": fee_id,
        "object": "application_fee",
        "account": payment.account,
        "amount": collection.amount_minor,
        "amount_refunded": 0,
        "application": ledger.APPLICATION,
        "balance_transaction": None,
        "charge": payment.id,
        "created": world.clock.now(),
        "currency": payment.body["currency"],
        "fee_source": {"charge": payment.id, "type": "charge"},
        "livemode": False,
        "originating_transaction": None if collection.originating is None else collection.originating.id,
        "refunded": False,
        "refunds": {"object": "list", "data": [], "has_more": False, "url": f"/v1/application_fees/{fee_id}/refunds"},
    }


def _book(
    world: World,
    source: Record,
    kind: str,
    category: str,
    amount_minor: int,
    available_on: int,
    account: str = PLATFORM,
) -> Json:
    return ledger.book(
        world,
        account=account,
        kind=kind,
        reporting_category=category,
        source=source.id,
        amount_minor=amount_minor,
        fee_minor=0,
        currency=source.body["currency"],
        available_on=available_on,
    )


@dataclass(frozen=True, slots=True)
class FeeRefundRequest:
    """How much of a fee goes back, in minor units of its currency."""

    amount_minor: int
    metadata: Json = field(default_factory=dict)


def of_charge(world: World, charge: Record) -> Record | None:
    """The fee of a charge, or None."""
    fee_id = charge.body["application_fee"]
    return world.store.find(PLATFORM, "application_fee", fee_id) if fee_id else None


def check_refund(fee: Record, amount_minor: int) -> None:
    """Whether this much of the fee may go back, in minor units.

    Raises:
        StripeError: 400 if nothing is left of the fee, or less than this amount.
    """
    left = fee.body["amount"] - fee.body["amount_refunded"]
    if left == 0:
        raise refused(f"Application fee {fee.id} has already been refunded.", param="id")
    if amount_minor > left:
        raise refused(f"Refund amount ({amount_minor}) is greater than fee amount left ({left}).", param="amount")


def make_refund(world: World, fee: Record, request: FeeRefundRequest, origin: Origin) -> Record:
    """Give a part of the fee back to the connected account; the caller has asked `check_refund`."""
    refund = world.insert(PLATFORM, "fee_refund", _new_refund(world, fee, request))
    amount, now = request.amount_minor, world.clock.now()
    booked = _book(world, refund, "application_fee_refund", "platform_earning_refund", -amount, now)
    refund.body["balance_transaction"] = booked["id"]
    _book(world, refund, "adjustment", "fee", amount, now, fee.body["account"])
    world.save(refund)
    body, listed = fee.body, fee.body["refunds"]
    body["amount_refunded"] += amount
    body["refunded"] = body["amount_refunded"] == body["amount"]
    listed["has_more"] = len(listed["data"]) == _SHOWN or listed["has_more"]
    listed["data"] = [refund.body, *listed["data"]][:_SHOWN]
    world.save(fee)
    world.outbox.emit(PLATFORM, "application_fee.refunded", fee.body, origin)
    world.recorder.effect("application_fee_refund", PLATFORM, refund.body, amount, origin)
    return refund


def refund_in_proportion(world: World, fee: Record, step: tuple[int, int, int], origin: Origin) -> None:
    """The part of the fee for one step of a refund or reversal: (amount before, amount after, of what), minor units."""
    left = fee.body["amount"] - fee.body["amount_refunded"]
    amount = min(proportion(fee.body["amount"], *step), left)
    if amount > 0:
        make_refund(world, fee, FeeRefundRequest(amount), origin)


def _new_refund(world: World, fee: Record, request: FeeRefundRequest) -> Json:
    return {
        "id": world.identifiers.new("fr"),
        "object": "fee_refund",
        "amount": request.amount_minor,
        "balance_transaction": None,
        "created": world.clock.now(),
        "currency": fee.body["currency"],
        "fee": fee.id,
        "metadata": request.metadata,
    }


def show_again(world: World, fee: Record, refund: Json) -> None:
    """A relabelled refund, also inside its fee."""
    listed = fee.body["refunds"]
    listed["data"] = [refund if shown["id"] == refund["id"] else shown for shown in listed["data"]]
    world.save(fee)
