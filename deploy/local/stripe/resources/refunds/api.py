"""Refunds as the API shows them: made, looked at, labelled, canceled.

Source: the specification of /v1/refunds and docs.stripe.com/refunds. Left to refund is always amount - amount_refunded
of the charge, where a partial capture's released rest counts as refunded; requests never interleave inside a
transaction, so no number of parallel requests passes it.
"""

import orjson

from ...state.store import Record
from ...wire.errors import Json, invalid, missing_object, missing_reference, not_implemented, refused, unexpected_state
from ...wire.parameters import merge_metadata
from ...world import Call, World
from ..charges import lifecycle as charges
from ..charges import split
from ..charges.api import wanted_of_charge
from ..lists import list_objects
from . import lifecycle
from .lifecycle import Ending


def check(given: Json) -> None:
    """Validation that needs no object: it runs before the idempotency key is looked at."""
    if ("charge" in given) == ("payment_intent" in given):
        message = "One of these params must be given, and only one: payment_intent or charge."
        raise invalid(message, code=None if "charge" in given else "parameter_missing", param="payment_intent")
    if given.get("amount", 1) < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param="amount")


def create(call: Call) -> Json:
    """Refund a charge, or the charge of an intent, wholly or in part.

    Raises:
        StripeError: 400 if the charge was charged back, has no captured money, or has less left than asked for.
    """
    given, charge = call.parameters, _charge_to_refund(call)
    if charges.charged_back(call.world, charge):
        raise refused(f"Charge {charge.id} has been charged back; cannot issue a refund.", code="charge_disputed")
    amount = _amount(charge, given.get("amount"))
    split.check_refund(charge, given)
    refund = call.world.insert(call.account, "refund", _new(call, charge, amount))
    split.reverse(call.world, refund, charge, given, call.origin)
    lifecycle.start(call.world, refund, charge, call.origin)
    return refund.body


def _charge_to_refund(call: Call) -> Record:
    charge = _named_by_intent(call) if "payment_intent" in call.parameters else _named(call)
    if charge.body["source_transfer"]:
        raise not_implemented("refunding a payment that is a transfer; reverse the transfer instead", "charge")
    if charge.body["status"] != "succeeded" or not charge.body["captured"]:
        message = (
            f"Charge {charge.id} has no captured money to refund. Cancel its PaymentIntent to release what is held."
        )
        raise refused(message, code="charge_not_refundable", param="charge")
    return charge


def _named_by_intent(call: Call) -> Record:
    name = call.parameters["payment_intent"]
    intent = call.world.store.find(call.account, "payment_intent", name)
    if intent is None:
        raise missing_reference("payment_intent", name, "payment_intent")
    if intent.body["status"] != "succeeded":
        raise unexpected_state(intent.body, "refunded")
    return charges.of_intent(call.world, intent)


def _named(call: Call) -> Record:
    name = call.parameters["charge"]
    charge = call.world.store.find(call.account, "charge", name)
    if charge is None:
        raise missing_reference("charge", name, "charge")
    return charge


def _amount(charge: Record, wanted: int | None) -> int:
    left: int = charge.body["amount"] - charge.body["amount_refunded"]
    if left == 0:
        raise refused(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
    if wanted is not None and wanted > left:
        message = f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({left})."
        raise refused(message, param="amount")
    return left if wanted is None else wanted


def _new(call: Call, charge: Record, amount_minor: int) -> Json:
    given, charged = call.parameters, charge.body
    return {
        "id": call.world.identifiers.new("re" if charge.id.startswith("ch_") else "pyr"),
        "object": "refund",
        "amount": amount_minor,
        "balance_transaction": None,
        "charge": charge.id,
        "created": call.world.clock.now(),
        "currency": charged["currency"],
        "customer": charged["customer"],
        "customer_account": None,
        "destination_details": _destination(charged["payment_method_details"]["type"]),
        "metadata": merge_metadata({}, given.get("metadata")),
        "payment_intent": charged["payment_intent"],
        "payment_method": charged["payment_method"],
        "reason": given.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending",
        "transfer_reversal": None,
    }


def _destination(method_type: str) -> Json:
    if method_type == "card":
        return {"type": "card", "card": {"type": "refund"}}
    return {"type": "us_bank_transfer", "us_bank_transfer": {"reference": None, "reference_status": None}}


def retrieve(call: Call) -> Json:
    return _find(call).body


def list_all(call: Call) -> Json:
    return list_objects(call, "refund", wanted_of_charge(call))


def listed_in_charge(world: World, charge_id: str) -> Json:
    """The `refunds` of a charge, shown only when expanded: the ten newest."""
    rows = world.store.execute(
        "SELECT body FROM objects WHERE parent = ? AND kind = 'refund' ORDER BY sequence DESC LIMIT 11", (charge_id,)
    ).fetchall()
    data = [orjson.loads(body) for (body,) in rows[:10]]
    return {"object": "list", "data": data, "has_more": len(rows) > 10, "url": f"/v1/charges/{charge_id}/refunds"}


def update(call: Call) -> Json:
    refund = _find(call)
    if "metadata" in call.parameters:
        previous = {"metadata": refund.body["metadata"]}
        refund.body["metadata"] = merge_metadata(refund.body["metadata"], call.parameters["metadata"])
        call.world.save(refund)
        lifecycle.emit_updated(call.world, refund, call.origin, previous)
    return refund.body


def cancel(call: Call) -> Json:
    """Only while the buyer is being asked where the money shall go; any other refund is on its way."""
    refund = _find(call)
    if refund.body["status"] != "requires_action":
        message = f"This refund could not be canceled because it has a status of {refund.body['status']}."
        raise refused(message)
    lifecycle.end(call.world, refund, Ending("canceled"), call.origin)
    return refund.body


def _find(call: Call) -> Record:
    refund = call.world.store.find(call.account, "refund", call.path_ids[0])
    if refund is None:
        raise missing_object("refund", call.path_ids[0])
    return refund
