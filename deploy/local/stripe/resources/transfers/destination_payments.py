"""A transfer as the receiving account sees it: a payment (`py_`), and a refund (`pyr_`) of it for each reversal."""

from ...state.store import Record
from ...wire.errors import Json
from ...world import World

_BILLING: Json = {
    "address": {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None},
    "email": None,
    "name": None,
    "phone": None,
    "tax_id": None,
}
_NOTHING: Json = dict.fromkeys(
    (
        "application", "application_fee", "application_fee_amount", "calculated_statement_descriptor", "customer",
        "description", "failure_balance_transaction", "failure_code", "failure_message", "on_behalf_of", "outcome",
        "payment_intent", "payment_method", "receipt_email", "receipt_number", "receipt_url", "review", "shipping",
        "statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group",
    )
)  # fmt: skip


def receive(world: World, transfer: Json, payment_data: Json) -> Record:
    """The caller books it and names the balance transaction."""
    body: Json = _NOTHING | {
        "id": transfer["destination_payment"],
        "object": "charge",
        "amount": transfer["amount"],
        "amount_captured": transfer["amount"],
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": _BILLING,
        "captured": True,
        "created": world.clock.now(),
        "currency": transfer["currency"],
        "description": payment_data.get("description"),
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": payment_data.get("metadata", {}),
        "paid": True,
        "payment_method_details": {"type": "stripe_account", "stripe_account": {}},
        "refunded": False,
        "source_transfer": transfer["id"],
        "status": "succeeded",
    }
    return world.insert(transfer["destination"], "charge", body, {"available_at_once": True})


def make_refund(world: World, payment: Record, reversal: Json) -> Record:
    """The refund in the receiving account; the caller books it and names the balance transaction."""
    payment.body["amount_refunded"] += reversal["amount"]
    payment.body["refunded"] = payment.body["amount_refunded"] == payment.body["amount"]
    world.save(payment)
    body: Json = {
        "id": reversal["destination_payment_refund"],
        "object": "refund",
        "amount": reversal["amount"],
        "balance_transaction": None,
        "charge": payment.id,
        "created": world.clock.now(),
        "currency": reversal["currency"],
        "customer": None,
        "customer_account": None,
        "metadata": {},
        "payment_intent": None,
        "payment_method": None,
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": reversal["id"],
        "status": "succeeded",
        "transfer_reversal": None,
    }
    return world.insert(payment.account, "refund", body)
