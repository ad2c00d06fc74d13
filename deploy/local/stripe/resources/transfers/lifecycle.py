"""What a transfer does: it moves money from the platform's balance into a connected account's.

    platform                                connected account
    transfer          -amount     ->        payment          +amount

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

SHOWN = 10


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """What is to be sent, in minor units. `labels` are description, metadata and transfer_group of the transfer,
    `payment_data` description and metadata of the payment; `available_on` is in seconds since 1970.
    """

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
    """Whether the account may receive transfers; `param` is the parameter that named it.

    Raises:
        StripeError: 400 (`insufficient_capabilities_for_transfer`) if the account may not receive transfers.
    """
    if not accounts.may(account, "transfers"):
        message = (
            "Your destination account needs to have at least one of the following capabilities enabled:"
            " transfers, crypto_transfers, legacy_payments"
        )
        raise refused(message, code="insufficient_capabilities_for_transfer", param=param)


def group_of(charge: Json) -> str:
    """The charge's own group, or one made from its intent."""
    return str(charge["transfer_group"] or f"group_{charge['payment_intent']}")


def send(world: World, request: TransferRequest, origin: Origin) -> tuple[Record, Record]:
    """The transfer, and the payment that it is in the connected account."""
    transfer = world.insert(PLATFORM, "transfer", _new(world, request), _private(request))
    payment = destination_payments.receive(world, transfer.body, request.payment_data)
    transfer.body["balance_transaction"] = book(world, transfer, "transfer", "transfer", -request.amount_minor)["id"]
    received = book(world, payment, "payment", "charge", request.amount_minor, transfer, request.application_fee_minor)
    payment.body["balance_transaction"] = received["id"]
    world.save(transfer)
    world.save(payment)
    world.outbox.emit(PLATFORM, "transfer.created", transfer.body, origin)
    world.outbox.emit(payment.account, "payment.created", payment.body, origin)
    world.recorder.effect("transfer", PLATFORM, transfer.body, request.amount_minor, origin)
    return transfer, payment


def _private(request: TransferRequest) -> Json:
    return {"available_on": request.available_on, "destination_charge": request.destination_charge}


def _new(world: World, request: TransferRequest) -> Json:
    transfer_id = world.identifiers.new("tr")
    url = f"/v1/transfers/{transfer_id}/reversals"
    return {
        "id": transfer_id,
        "object": "transfer",
        "amount": request.amount_minor,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": world.clock.now(),
        "currency": request.currency,
        "description": None,
        "destination": request.destination,
        "destination_payment": world.identifiers.new("py"),
        "livemode": False,
        "metadata": {},
        "reversals": {"object": "list", "data": [], "has_more": False, "url": url},
        "reversed": False,
        "source_transaction": request.source_transaction,
        "source_type": "card",
        "transfer_group": None,
    } | request.labels


def book(
    world: World,
    moved: Record,
    kind: str,
    category: str,
    amount_minor: int,
    transfer: Record | None = None,
    application_fee_minor: int = 0,
) -> Json:
    """The balance transaction of either side. It is available when the transfer's money is, and not before now;
    `transfer` is the one that `moved` belongs to, if it is not one itself.
    """
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


def insufficient(purpose: str) -> StripeError:
    """The refusal `balance_insufficient`, kept under the key; `purpose` ends its sentence."""
    return refused(f"Insufficient available funds {purpose}.", code="balance_insufficient")
