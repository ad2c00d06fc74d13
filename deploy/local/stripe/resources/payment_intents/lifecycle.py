"""The end of an authorisation: capture it (wholly or in part; the rest is released), cancel it, or let it expire."""

from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json, invalid, not_implemented
from ...wire.parameters import merge_metadata
from ...world import Call, World
from ..charges import lifecycle as charges
from ..charges import split
from ..payment_methods.lifecycle import behaviour_of
from .api import find, require


def capture(call: Call) -> Json:
    intent, given, world = find(call), call.parameters, call.world
    if given.get("final_capture") is False:
        raise not_implemented("several captures of one intent", "final_capture")
    require(intent, "captured")
    capturable: int = intent.body["amount_capturable"]
    amount: int = given.get("amount_to_capture", capturable)
    _check_capturable(amount, capturable)
    intent.body["metadata"] = merge_metadata(intent.body["metadata"], given.get("metadata"))
    for name in ("statement_descriptor", "statement_descriptor_suffix"):
        intent.body[name] = given.get(name, intent.body[name])
    charge = charges.of_intent(world, intent)
    _share_otherwise(call, intent, charge)
    _take(world, intent, charge, amount, call.origin)
    return intent.body


def _share_otherwise(call: Call, intent: Record, charge: Record) -> None:
    """The capture may still say how much is the platform's part."""
    given = call.parameters
    if "application_fee_amount" in given:
        intent.body["application_fee_amount"] = given["application_fee_amount"]
    if "transfer_data" in given:
        intent.body["transfer_data"] = (intent.body["transfer_data"] or {}) | given["transfer_data"]
    if given.keys() & {"application_fee_amount", "transfer_data"}:
        split.check(call, intent.body)
        charge.body |= split.of_intent(intent.body)


def _check_capturable(amount_minor: int, capturable_minor: int) -> None:
    if amount_minor < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param="amount_to_capture")
    if amount_minor > capturable_minor:
        message = f"The amount to capture must not exceed the capturable {capturable_minor}."
        raise invalid(message, code="amount_too_large", param="amount_to_capture")


def _take(world: World, intent: Record, charge: Record, amount_minor: int, origin: Origin) -> None:
    """What is not captured is released to the buyer: Stripe shows it as refunded on the charge."""
    charge.body |= {
        "captured": True,
        "amount_captured": amount_minor,
        "amount_refunded": charge.body["amount"] - amount_minor,
    }
    at_once = intent.body["capture_method"] != "automatic_async"
    if at_once:
        charges.book(world, charge, origin)
    world.save(charge)
    intent.body |= {"status": "succeeded", "amount_capturable": 0, "amount_received": amount_minor}
    world.save(intent)
    world.outbox.emit(intent.account, "charge.captured", charge.body, origin)
    world.outbox.emit(intent.account, "payment_intent.succeeded", intent.body, origin)
    world.recorder.effect("charge", intent.account, charge.body, amount_minor, origin)
    method = world.store.find(charge.account, "payment_method", charge.body["payment_method"])
    assert method is not None, "a charge names its method, and methods are never deleted"
    charges.await_bank(world, charge, behaviour_of(method))


def cancel(call: Call) -> Json:
    intent = find(call)
    require(intent, "canceled")
    _cancel(call.world, intent, call.parameters.get("cancellation_reason"), call.origin)
    return intent.body


def _cancel(world: World, intent: Record, reason: str | None, origin: Origin) -> None:
    held = intent.body["status"] == "requires_capture"
    intent.body |= {
        "status": "canceled",
        "amount_capturable": 0,
        "canceled_at": world.clock.now(),
        "cancellation_reason": reason,
        "next_action": None,
    }
    world.save(intent)
    if held:
        _release(world, intent, origin)
    world.outbox.emit(intent.account, "payment_intent.canceled", intent.body, origin)


def _release(world: World, intent: Record, origin: Origin) -> None:
    charge = charges.of_intent(world, intent)
    charge.body |= {"refunded": True, "amount_refunded": charge.body["amount"]}
    world.save(charge)
    event = "charge.expired" if origin.request_id is None else "charge.refunded"
    world.outbox.emit(intent.account, event, charge.body, origin)
    world.recorder.effect("release", intent.account, charge.body, charge.body["amount"], origin)


def expire(world: World, account: str, intent_id: str) -> None:
    """Seven days by default; a no-op if the intent was captured or canceled in time."""
    intent = world.store.find(account, "payment_intent", intent_id)
    if intent is not None and intent.body["status"] == "requires_capture":
        _cancel(world, intent, "automatic", Origin())
