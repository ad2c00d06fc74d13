"""A payment that is shared as it is made: destination charges, and the application fee of a direct charge.

Source: docs.stripe.com/connect/destination-charges. With `application_fee_amount` everything captured goes to the
destination and the fee comes back; with `transfer_data[amount]` only that much goes there and there is no fee object.
Stripe's processing fee is the platform's, of a direct charge the account's. It happens when the charge is booked, so
after an asynchronous capture `charge.updated` tells of transfer and fee together with the balance transaction.
"""

from ... import PLATFORM
from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json, invalid, missing_reference, not_implemented, refused
from ...wire.parameters import merge_metadata
from ...world import Call, World
from ..accounts import lifecycle as accounts
from ..application_fees import lifecycle as application_fees
from ..application_fees.lifecycle import FeeCollection
from ..balance.amounts import proportion
from ..transfer_reversals import lifecycle as transfer_reversals
from ..transfer_reversals.lifecycle import ReversalRequest
from ..transfers import lifecycle as transfers
from ..transfers.lifecycle import TransferRequest


def check(call: Call, intent: Json) -> None:
    """Whether the intent, as it would be, can be split.

    Raises:
        StripeError: 400 for an unknown or unable destination, or amounts that do not fit; 501 in a connected account.
    """
    data, fee, amount = intent["transfer_data"], intent["application_fee_amount"], intent["amount"]
    if data is not None:
        _check_destination(call, data, amount)
    if fee is not None:
        _check_fee(call, fee, data, amount)
    if intent["on_behalf_of"] is not None:
        _check_merchant(call, intent["on_behalf_of"])


def _check_destination(call: Call, data: Json, amount_minor: int) -> None:
    if call.in_connected_account:
        raise not_implemented("a destination charge of a connected account", "transfer_data")
    if "destination" not in data:
        message = "Missing required param: transfer_data[destination]."
        raise invalid(message, code="parameter_missing", param="transfer_data[destination]")
    account = accounts.find(call.world, data["destination"])
    if account is None:
        raise missing_reference("destination", data["destination"], "transfer_data[destination]")
    transfers.check_may_receive(account, "transfer_data[destination]")
    if not 1 <= data.get("amount", 1) <= amount_minor:
        message = f"The transfer_data[amount] must be between 1 and the amount of the payment ({amount_minor})."
        raise invalid(message, param="transfer_data[amount]")


def _check_fee(call: Call, fee_minor: int, data: Json | None, amount_minor: int) -> None:
    if data is None and not call.in_connected_account:
        message = (
            "Can only apply an application_fee_amount when the PaymentIntent is attempting a direct payment (using an"
            " OAuth key or Stripe-Account header) or destination payment (using `transfer_data[destination]`)."
        )
        raise invalid(message, param="application_fee_amount")
    if data is not None and "amount" in data:
        message = "You may only pass one of these parameters: application_fee_amount, transfer_data[amount]."
        raise invalid(message, param="application_fee_amount")
    if not 0 <= fee_minor <= amount_minor:
        message = f"Your application fee ({fee_minor}) must be between 0 and the amount ({amount_minor})."
        raise invalid(message, param="application_fee_amount")


def _check_merchant(call: Call, account_id: str) -> None:
    account = accounts.find(call.world, account_id)
    if account is None:
        raise missing_reference("account", account_id, "on_behalf_of")
    if not accounts.may(account, "card_payments"):
        message = f"The account {account_id} cannot be on_behalf_of without the card_payments capability."
        raise refused(message, code="capability_not_active", param="on_behalf_of")


def of_intent(intent: Json) -> Json:
    """What a charge shows of how it will be shared."""
    data = intent["transfer_data"]
    shown = None if data is None else {"amount": data.get("amount"), "destination": data["destination"]}
    return {
        "application_fee_amount": intent["application_fee_amount"],
        "on_behalf_of": intent["on_behalf_of"],
        "transfer_data": shown,
    }


def direct_fee(charge: Record) -> int:
    """The application fee that the account's own balance transaction bears."""
    if charge.account == PLATFORM:
        return 0
    fee: int = min(charge.body["application_fee_amount"] or 0, charge.body["amount_captured"])
    return fee


def distribute(world: World, charge: Record, available_on: int, origin: Origin) -> None:
    """Make the transfer and the fee of a charge that was just booked. The charge names them afterwards; the caller
    saves it.
    """
    if charge.account != PLATFORM:
        if fee := direct_fee(charge):
            application_fees.collect(world, FeeCollection(charge, fee, available_on), origin)
        return
    if charge.body["transfer_data"] is not None:
        _send_on(world, charge, available_on, origin)


def _send_on(world: World, charge: Record, available_on: int, origin: Origin) -> None:
    captured, data = charge.body["amount_captured"], charge.body["transfer_data"]
    fee = min(charge.body["application_fee_amount"] or 0, captured)
    labels = _transfer_labels(world, charge)
    charge.body["transfer_group"] = transfers.group_of(charge.body)
    request = TransferRequest(
        data["destination"],
        captured if data["amount"] is None else min(data["amount"], captured),
        charge.body["currency"],
        available_on,
        source_transaction=charge.id,
        labels={
            "description": labels.get("description"),
            "metadata": merge_metadata({}, labels.get("metadata")),
            "transfer_group": charge.body["transfer_group"],
        },
        payment_data=labels.get("payment_data", {}),
        destination_charge=True,
        application_fee_minor=fee,
    )
    transfer, payment = transfers.send(world, request, origin)
    charge.body["transfer"] = transfer.id
    if fee:
        application_fees.collect(world, FeeCollection(payment, fee, available_on, originating=charge), origin)
        world.save(payment)


def _transfer_labels(world: World, charge: Record) -> Json:
    """Labels for the transfer, which the intent knows and the charge does not show."""
    intent = world.store.find(charge.account, "payment_intent", charge.body["payment_intent"])
    assert intent is not None, "a charge is made by an intent of its own account"
    labels: Json = intent.body["transfer_data"]
    return labels


def check_refund(charge: Record, given: Json) -> None:
    """Whether the refund may reverse the transfer and refund the fee as its parameters ask.

    Raises:
        StripeError: 400 if there is no transfer or fee, or the fee of a destination charge without its transfer.
    """
    if given.get("reverse_transfer") and "transfer" not in charge.body:
        raise refused(f"Charge {charge.id} has no transfer to reverse.", param="reverse_transfer")
    if not given.get("refund_application_fee"):
        return
    if charge.body["application_fee"] is None:
        raise refused(f"Charge {charge.id} has no application fee to refund.", param="refund_application_fee")
    if "transfer" in charge.body and not given.get("reverse_transfer"):
        message = "The application fee of a destination charge can only be refunded if its transfer is reversed too."
        raise refused(message, param="refund_application_fee")


def reverse(world: World, refund: Record, charge: Record, given: Json, origin: Origin) -> None:
    """Take transfer and fee back in proportion, as the refund's parameters ask, before the refund takes its own money.
    The refund names the reversal afterwards; the caller saves it.
    """
    released = charge.body["amount"] - charge.body["amount_captured"]
    before = charge.body["amount_refunded"] - released
    step = (before, before + refund.body["amount"], charge.body["amount_captured"])
    if given.get("reverse_transfer"):
        refund.body["transfer_reversal"] = _reverse(world, refund, charge, step, origin)
    if given.get("refund_application_fee"):
        fee = application_fees.of_charge(world, charge)
        assert fee is not None, "check_refund has asked for it"
        application_fees.refund_in_proportion(world, fee, step, origin)


def _reverse(world: World, refund: Record, charge: Record, step: tuple[int, int, int], origin: Origin) -> str | None:
    transfer = world.store.find(PLATFORM, "transfer", charge.body["transfer"])
    assert transfer is not None, "written in the transaction that named it on the charge"
    left = transfer.body["amount"] - transfer.body["amount_reversed"]
    amount = min(proportion(transfer.body["amount"], *step), left)
    if amount < 1:
        return None
    return transfer_reversals.reverse(world, transfer, ReversalRequest(amount, source_refund=refund.id), origin).id
