"""Charges: made by attempts, shown and labelled here."""

from dataclasses import dataclass
from typing import Any

import orjson

from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json, missing_object
from ...wire.parameters import merge_metadata
from ...world import Call, World
from ..balance import ledger
from ..customers.api import check_exists
from ..lists import list_rows, read_body
from ..payment_methods.lifecycle import behaviour_of
from ..payment_methods.test_methods import BLOCKED_BY_RADAR, Behaviour, Decline, charge_face
from . import split

_FILTERS = {
    "customer": "customer = ?",
    "payment_intent": "parent = ?",
    "transfer_group": "json_extract(body, '$.transfer_group') = ?",
}
_LABELS = ("description", "receipt_email", "shipping", "transfer_group", "fraud_details")


@dataclass(frozen=True, slots=True)
class Making:
    """What one attempt at a charge has come to."""

    status: str
    captured: bool
    decline: Decline | None = None


def make(world: World, intent: Record, method: Record, making: Making) -> Record:
    """Write the charge of one attempt; a declined one too, because Stripe keeps it and shows it."""
    behaviour, now = behaviour_of(method), world.clock.now()
    capture_before = now + world.settings.authorization_seconds
    authorised_only = making.status == "succeeded" and not making.captured
    details = charge_face(behaviour, intent.body["amount"], authorised_only, capture_before)
    body: Json = {
        "id": world.identifiers.new("ch" if behaviour.kind == "card" else "py"),
        "object": "charge",
        "created": now,
        "billing_details": method.body["billing_details"],
        "outcome": outcome(behaviour, method.private["test_method"], making.decline),
        "payment_method": method.id,
        "payment_method_details": details,
    }
    body |= _of_attempt(intent.body["amount"], making) | _of_intent(intent.body) | split.of_intent(intent.body)
    return world.insert(intent.account, "charge", body, {"available_at_once": behaviour.available_at_once})


def _of_attempt(amount: int, making: Making) -> Json:
    decline = making.decline
    return {
        "amount": amount,
        "amount_captured": amount if making.captured else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "balance_transaction": None,
        "captured": making.captured,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "fraud_details": {},
        "livemode": False,
        "paid": making.status == "succeeded",
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "source_transfer": None,
        "status": making.status,
    }


def _of_intent(paid: Json) -> Json:
    return {
        "calculated_statement_descriptor": paid["statement_descriptor"] or "EMULATOR",
        "currency": paid["currency"],
        "customer": paid["customer"],
        "description": paid["description"],
        "metadata": paid["metadata"],
        "payment_intent": paid["id"],
        "receipt_email": paid["receipt_email"],
        "shipping": paid["shipping"],
        "statement_descriptor": paid["statement_descriptor"],
        "statement_descriptor_suffix": paid["statement_descriptor_suffix"],
        "transfer_group": paid["transfer_group"],
    }


def outcome(behaviour: Behaviour, test_method: str, decline: Decline | None) -> Json:
    if decline is None:
        seen = {"network_status": "approved_by_network", "reason": None, "type": "authorized"}
        message = "Payment complete."
    elif test_method in BLOCKED_BY_RADAR:
        seen = {"network_status": "not_sent_to_network", "reason": "highest_risk_level", "type": "blocked"}
        message = "Stripe blocked this payment as too risky."
    else:
        reason = decline.decline_code or decline.code
        seen = {"network_status": "declined_by_network", "reason": reason, "type": "issuer_declined"}
        message = "The bank did not complete this charge."
    return seen | {
        "advice_code": decline.advice_code if decline else None,
        "network_advice_code": None,
        "network_decline_code": "01" if decline and behaviour.kind == "card" else None,
        "risk_level": behaviour.risk_level if behaviour.kind == "card" else "not_assessed",
        "seller_message": message,
    }


def book(world: World, charge: Record, origin: Origin) -> None:
    """Put the captured amount into the ledger, share it, and name all that on the charge; the caller saves it."""
    available_at_once, amount = charge.private["available_at_once"], charge.body["amount_captured"]
    booked = ledger.book_charge(world, charge, amount, available_at_once, split.direct_fee(charge))
    charge.body["balance_transaction"] = booked["id"]
    split.share(world, charge, booked["available_on"], origin)


def book_later(world: World, charge: Record) -> None:
    """automatic_async: the answer comes before the books; `charge.updated` tells when they are done."""
    if world.settings.async_capture_delay_ms == 0:
        fill(world, charge.account, charge.id)
    else:
        world.schedule.add("book_charge", world.settings.async_capture_delay_ms / 1000, charge.account, charge.id)


def fill(world: World, account: str, charge_id: str) -> None:
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
    charge = world.store.find(intent.account, "charge", intent.body["latest_charge"])
    assert charge is not None, "latest_charge is written in the transaction that makes the charge"
    return charge


def retrieve(call: Call) -> Json:
    return _find(call).body


def list_all(call: Call) -> Json:
    filters = {name: condition for name, condition in _FILTERS.items() if name in call.parameters}
    conditions = ["account = ?", "kind = 'charge'", *filters.values()]
    values = [call.account, *(call.parameters[name] for name in filters)]
    return list_rows(call, "objects", conditions, values, read_body, columns="body")


def wanted_of_charge(call: Call) -> dict[str, Any]:
    """The filters `charge` and `payment_intent` of what hangs on a charge: both come down to one charge, or none."""
    given = call.parameters
    wanted: dict[str, Any] = {"parent": given["charge"]} if "charge" in given else {}
    if "payment_intent" in given:
        intent = call.world.store.find(call.account, "payment_intent", given["payment_intent"])
        charge = intent.body["latest_charge"] if intent else None
        wanted["parent"] = charge if given.get("charge", charge) == charge else None
    return wanted


def refunds_of(world: World, charge_id: str) -> Json:
    """The `refunds` of a charge, shown only when expanded: the ten newest."""
    rows = world.store.execute(
        "SELECT body FROM objects WHERE parent = ? AND kind = 'refund' ORDER BY sequence DESC LIMIT 11", (charge_id,)
    ).fetchall()
    data = [orjson.loads(body) for (body,) in rows[:10]]
    return {"object": "list", "data": data, "has_more": len(rows) > 10, "url": f"/v1/charges/{charge_id}/refunds"}


def update(call: Call) -> Json:
    charge, given = _find(call), call.parameters
    changes = {name: given[name] for name in _LABELS if name in given}
    if "customer" in given:
        changes["customer"] = check_exists(call, given["customer"])
    if "metadata" in given:
        changes["metadata"] = merge_metadata(charge.body["metadata"], given["metadata"])
    previous = {name: charge.body[name] for name in changes}
    charge.body |= changes
    call.world.save(charge)
    call.world.outbox.emit(call.account, "charge.updated", charge.body, call.origin, previous)
    return charge.body


def _find(call: Call) -> Record:
    charge = call.world.store.find(call.account, "charge", call.path_ids[0])
    if charge is None:
        raise missing_object("charge", call.path_ids[0])
    return charge
