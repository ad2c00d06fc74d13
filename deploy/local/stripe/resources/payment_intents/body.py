"""The shape of a new PaymentIntent. Source: docs.stripe.com/api/payment_intents/object."""

from ...wire.errors import Json, invalid
from ...wire.parameters import merge_metadata
from ...world import Call

LABELS = (
    "description", "receipt_email", "setup_future_usage", "shipping", "statement_descriptor",
    "statement_descriptor_suffix", "transfer_group",
)  # fmt: skip


def new(call: Call) -> Json:
    """A new intent, not yet confirmed, from the parameters of its creation."""
    given, identifiers = call.parameters, call.world.identifiers
    intent_id = identifiers.new("pi")
    body: Json = {
        "id": intent_id,
        "object": "payment_intent",
        "amount": given["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": given.get("application_fee_amount"),
        "automatic_payment_methods": _automatic(given),
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": given.get("capture_method", "automatic_async"),
        "client_secret": f"{intent_id}_secret_{identifiers.new('', 25)[1:]}",
        "confirmation_method": given.get("confirmation_method", "automatic"),
        "created": call.world.clock.now(),
        "currency": given["currency"],
        "customer": given.get("customer"),
        "customer_account": None,
        "excluded_payment_method_types": given.get("excluded_payment_method_types"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "next_action": None,
        "on_behalf_of": given.get("on_behalf_of"),
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": _method_types(given),
        "processing": None,
        "review": None,
        "status": "requires_payment_method",
        "transfer_data": given.get("transfer_data"),
    }
    return body | {name: given.get(name) for name in LABELS}


def _automatic(given: Json) -> Json | None:
    """Automatic methods are the default; only an explicit list of types switches them off."""
    if "allowed_payment_method_types" in given:
        return None
    chosen: Json = given.get("automatic_payment_methods") or {"enabled": True}
    if not chosen["enabled"]:
        return None
    return {"allow_redirects": "always"} | chosen


def _method_types(given: Json) -> list[str]:
    served = ["card", "us_bank_account"] if given["currency"] == "usd" else ["card"]
    wanted = given.get("allowed_payment_method_types") or served
    excluded = given.get("excluded_payment_method_types") or ()
    types = [kind for kind in served if kind in wanted and kind not in excluded]
    if not types:
        raise invalid("No valid payment method types for this PaymentIntent.", param="allowed_payment_method_types")
    return types
