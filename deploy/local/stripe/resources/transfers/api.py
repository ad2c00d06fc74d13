"""Transfers as the API shows them: made, looked at, labelled.

Source: the specification of /v1/transfers and docs.stripe.com/connect/separate-charges-and-transfers. Without a source
charge the platform's available balance must cover the amount. With one it needs no balance, but all transfers of a
charge together stay within what was captured; refunds and reversals give nothing of that back.
"""

from typing import Any

from ... import PLATFORM
from ...state.store import Record
from ...wire.errors import Json, invalid, missing_object, missing_reference, not_implemented, refused
from ...wire.parameters import merge_metadata
from ...world import Call, World
from ..accounts import lifecycle as accounts
from ..balance import ledger
from ..balance.amounts import check_currency
from ..lists import list_rows, read_body
from . import lifecycle
from .lifecycle import TransferRequest

_FILTERS = ("transfer_group", "destination")


def check(given: Json) -> None:
    """Validation that needs no object: it runs before the idempotency key is looked at."""
    given["currency"] = check_currency(given["currency"])
    if given["amount"] < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param="amount")


def create(call: Call) -> Json:
    if call.in_connected_account:
        raise not_implemented("a transfer out of a connected account")
    given, destination = call.parameters, _destination(call)
    source = _source(call) if "source_transaction" in given else None
    if source is None:
        _check_balance(call)
    request = TransferRequest(
        destination.id,
        given["amount"],
        given["currency"],
        available_on=_available_on(call, source),
        source_transaction=None if source is None else source.id,
        labels=_labels(given, source),
    )
    transfer, _ = lifecycle.send(call.world, request, call.origin)
    return transfer.body


def _destination(call: Call) -> Record:
    name = call.parameters["destination"]
    account = accounts.find(call.world, name)
    if account is None:
        raise missing_reference("destination", name, "destination")
    lifecycle.check_may_receive(account, "destination")
    return account


def _check_balance(call: Call) -> None:
    given = call.parameters
    available = ledger.available(call.world, PLATFORM, given["currency"])
    if given["amount"] > available:
        raise lifecycle.insufficient(f"in your Stripe account for this transfer: {available} are available")


def _source(call: Call) -> Record:
    """The charge that pays, with its books done: an asynchronous capture is booked now, and says so."""
    given, world = call.parameters, call.world
    charge = world.store.find(PLATFORM, "charge", given["source_transaction"])
    if charge is None:
        raise missing_reference("charge", given["source_transaction"], "source_transaction")
    if charge.body["status"] == "pending":
        raise not_implemented("a transfer from a charge that is still pending", "source_transaction")
    if not (charge.body["paid"] and charge.body["captured"]):
        message = f"Charge {charge.id} has no captured money and cannot be the source of a transfer."
        raise refused(message, param="source_transaction")
    if charge.body["currency"] != given["currency"]:
        message = (
            f"The currency of source_transaction's balance transaction ({charge.body['currency']}) must be the"
            f" same as the transfer currency ({given['currency']})"
        )
        raise refused(message, param="currency")
    _check_cap(call, charge)
    return _booked(world, charge)


def _booked(world: World, charge: Record) -> Record:
    world.schedule.run_early("book_charge", PLATFORM, charge.id)
    booked = world.store.find(PLATFORM, "charge", charge.id)
    assert booked is not None, "found a line ago, in the same transaction"
    if booked.body["transfer_group"] is None:
        booked.body["transfer_group"] = lifecycle.group_of(booked.body)
        world.save(booked)
    return booked


def _check_cap(call: Call, charge: Record) -> None:
    captured, sent = charge.body["amount_captured"], lifecycle.sent_from(call.world, charge)
    if sent + call.parameters["amount"] > captured:
        message = f"Transfers using this transaction as a source must not exceed the source amount of {captured}."
        already = f" (There is already a transfer using this source, amounting to {sent}.)" if sent else ""
        raise refused(message + already, param="amount")


def _available_on(call: Call, source: Record | None) -> int:
    now = call.world.clock.now()
    if source is None:
        return now
    booked = call.world.store.find(PLATFORM, "balance_transaction", source.body["balance_transaction"])
    assert booked is not None, "a booked charge names its balance transaction"
    available_on: int = booked.body["available_on"]
    return max(now, available_on)


def _labels(given: Json, source: Record | None) -> Json:
    group = given.get("transfer_group")
    if source is not None:
        group = source.body["transfer_group"]
    return {
        "description": given.get("description"),
        "metadata": merge_metadata({}, given.get("metadata")),
        "transfer_group": group,
    }


def retrieve(call: Call) -> Json:
    return find(call).body


def list_all(call: Call) -> Json:
    conditions, values = ["account = ?", "kind = 'transfer'"], [call.account]
    for name in _FILTERS:
        if name in call.parameters:
            conditions.append(f"json_extract(body, '$.{name}') = ?")
            values.append(call.parameters[name])
    return list_rows(call, "objects", conditions, values, read_body, columns="body")


def update(call: Call) -> Json:
    transfer, given = find(call), call.parameters
    changes: dict[str, Any] = {"description": given["description"]} if "description" in given else {}
    if "metadata" in given:
        changes["metadata"] = merge_metadata(transfer.body["metadata"], given["metadata"])
    previous = {name: transfer.body[name] for name in changes}
    if changes:
        transfer.body |= changes
        call.world.save(transfer)
        call.world.outbox.emit(call.account, "transfer.updated", transfer.body, call.origin, previous)
    return transfer.body


def find(call: Call) -> Record:
    """The transfer of the URL.

    Raises:
        StripeError: 404 if it does not exist in this account.
    """
    transfer = call.world.store.find(call.account, "transfer", call.path_ids[0])
    if transfer is None:
        raise missing_object("transfer", call.path_ids[0])
    return transfer
