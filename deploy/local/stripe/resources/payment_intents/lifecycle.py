"""The end of an authorisation: capture it (wholly or in part; the rest is released), cancel it, or let it expire.

Source: docs.stripe.com/payments/place-a-hold-on-a-payment-method.
"""

from ...state.recorder import Origin
from ...state.store import Record
from ...world import World
from ..charges import lifecycle as charges
from ..payment_methods.lifecycle import behaviour_of


def capture(world: World, intent: Record, charge: Record, amount_minor: int, origin: Origin) -> None:
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


def cancel(world: World, intent: Record, reason: str | None, origin: Origin) -> None:
    """End an intent; what it held is released. Without a request it has expired, and the charge's event says so."""
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
        cancel(world, intent, "automatic", Origin())
