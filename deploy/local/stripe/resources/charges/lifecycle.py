"""What becomes of a charge: made by an attempt, booked at once or a little later, then disputed or not.

A declined charge is made too, because Stripe keeps it and shows it. Source: docs.stripe.com/api/charges/object.
"""

from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json
from ...world import World
from ..balance import ledger
from ..payment_methods.lifecycle import behaviour_of
from ..payment_methods.test_methods import Behaviour, charge_face
from . import split
from .body import AttemptResult, of_attempt, outcome_of, shown_of_intent


def make(world: World, intent: Record, method: Record, result: AttemptResult) -> Record:
    """Write the charge of one attempt; a declined one too, because Stripe keeps it and shows it."""
    behaviour, now = behaviour_of(method), world.clock.now()
    capture_before = now + world.settings.authorization_seconds
    authorised_only = result.status == "succeeded" and not result.captured
    details = charge_face(behaviour, intent.body["amount"], authorised_only, capture_before)
    body: Json = {
        "id": world.identifiers.new("ch" if behaviour.kind == "card" else "py"),
        "object": "charge",
        "created": now,
        "billing_details": method.body["billing_details"],
        "outcome": outcome_of(behaviour, method.private["test_method"], result.decline),
        "payment_method": method.id,
        "payment_method_details": details,
    }
    body |= of_attempt(intent.body["amount"], result) | shown_of_intent(intent.body) | split.of_intent(intent.body)
    return world.insert(intent.account, "charge", body, {"available_at_once": behaviour.available_at_once})


def book(world: World, charge: Record, origin: Origin) -> None:
    """Put the captured amount into the ledger, share it, and name all that on the charge; the caller saves it."""
    available_at_once, amount = charge.private["available_at_once"], charge.body["amount_captured"]
    booked = ledger.book_charge(world, charge, amount, available_at_once, split.direct_fee(charge))
    charge.body["balance_transaction"] = booked["id"]
    split.distribute(world, charge, booked["available_on"], origin)


def book_later(world: World, charge: Record) -> None:
    """automatic_async: the answer comes before the books; `charge.updated` tells when they are done."""
    if world.settings.async_capture_delay_ms == 0:
        book_asynchronous(world, charge.account, charge.id)
    else:
        world.schedule.add("book_charge", world.settings.async_capture_delay_ms / 1000, charge.account, charge.id)


def book_asynchronous(world: World, account: str, charge_id: str) -> None:
    """Book a charge that is not booked yet, and emit `charge.updated` with what was filled in."""
    charge = world.store.find(account, "charge", charge_id)
    if charge is None or charge.body["balance_transaction"] is not None:
        return
    book(world, charge, Origin())
    world.save(charge)
    made = [name for name in ("application_fee", "balance_transaction", "transfer") if charge.body.get(name)]
    world.outbox.emit(account, "charge.updated", charge.body, Origin(), dict.fromkeys(made))


def await_bank(world: World, charge: Record, behaviour: Behaviour) -> None:
    """Of some test cards the bank disputes the charge, or warns of fraud, a little later."""
    after, details = world.settings.dispute_seconds, {"reason": behaviour.disputed_as, "inquiry": behaviour.inquiry}
    if behaviour.disputed_as is not None:
        world.schedule.add("raise_dispute", after, charge.account, charge.id, details)
    if behaviour.fraud_warning:
        world.schedule.add("warn_of_fraud", after, charge.account, charge.id)


def of_intent(world: World, intent: Record) -> Record:
    """The charge of the latest attempt of an intent that has one."""
    charge = world.store.find(intent.account, "charge", intent.body["latest_charge"])
    assert charge is not None, "latest_charge is written in the transaction that makes the charge"
    return charge


def charged_back(world: World, charge: Record) -> bool:
    """Whether an open or lost chargeback has taken the money already, so that nothing is left to refund."""
    return charge.body["disputed"] and any(
        not dispute.body["is_charge_refundable"] for dispute in world.store.children(charge, "dispute")
    )
