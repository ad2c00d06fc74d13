"""One attempt to pay an intent: authenticate, then decline, authorise, wait for the bank, or charge.

Each ending writes the charge, the intent, the events in Stripe's order and the effect for the recorder, all inside the
caller's transaction. The attempt itself never raises: it returns the decline, and the API call decides to answer 402.
A second run of a later step (bank's answer, 3DS) finds another status and does nothing.
"""

from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json
from ...world import World
from ..charges import lifecycle as charges
from ..charges.body import AttemptResult, outcome_of
from ..payment_methods.lifecycle import behaviour_of
from ..payment_methods.test_methods import AUTHENTICATION_FAILED, AUTHENTICATION_REQUIRED, Decline


def attempt(world: World, intent: Record, method: Record, origin: Origin, given: Json) -> Decline | None:
    """`given` are the confirm parameters. Returns the decline, if it came to one at once."""
    intent.body |= {"payment_method": method.id, "last_payment_error": None, "next_action": None}
    if behaviour_of(method).needs_authentication and not intent.private.get("authenticated"):
        if given.get("off_session") or given.get("error_on_requires_action"):
            return decline(world, intent, method, origin, AUTHENTICATION_REQUIRED)
        _ask_for_authentication(world, intent, origin, given)
        return None
    return _proceed(world, intent, method, origin)


def _ask_for_authentication(world: World, intent: Record, origin: Origin, given: Json) -> None:
    intent.body["status"] = "requires_action"
    intent.body["next_action"] = _next_action(intent.id, given)
    world.save(intent)
    world.outbox.emit(intent.account, "payment_intent.requires_action", intent.body, origin)


def _next_action(intent_id: str, given: Json) -> Json:
    if "return_url" in given and not given.get("use_stripe_sdk"):
        where = {"return_url": given["return_url"], "url": f"https://hooks.emulator.invalid/3d_secure/{intent_id}"}
        return {"type": "redirect_to_url", "redirect_to_url": where}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}


def _proceed(world: World, intent: Record, method: Record, origin: Origin) -> Decline | None:
    behaviour = behaviour_of(method)
    if behaviour.settles != "at_once":
        _wait_for_bank(world, intent, method, origin)
        return None
    if behaviour.decline is not None:
        return decline(world, intent, method, origin, behaviour.decline)
    if intent.body["capture_method"] == "manual":
        _authorise(world, intent, method, origin)
    else:
        _charge(world, intent, method, origin)
    return None


def decline(world: World, intent: Record, method: Record, origin: Origin, reason: Decline) -> Decline:
    """Write the failed charge and take the intent back to `requires_payment_method`."""
    charge = charges.make(world, intent, method, AttemptResult("failed", captured=False, decline=reason))
    _fall_back(world, intent, method, charge, reason)
    world.outbox.emit(intent.account, "charge.failed", charge.body, origin)
    world.outbox.emit(intent.account, "payment_intent.payment_failed", intent.body, origin)
    world.recorder.effect("charge_failed", intent.account, charge.body, intent.body["amount"], origin)
    return reason


def _fall_back(world: World, intent: Record, method: Record, charge: Record, reason: Decline) -> None:
    """Back to requires_payment_method: the next try is a confirm with another method."""
    intent.body |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "latest_charge": charge.id,
        "next_action": None,
        "processing": None,
        "last_payment_error": payment_error(reason, method.body, charge.id),
    }
    intent.private.pop("authenticated", None)
    world.save(intent)


def payment_error(reason: Decline, method: Json, charge_id: str | None) -> Json:
    """The `last_payment_error` hash, without its null fields. Source: docs.stripe.com/api/errors."""
    fields: Json = {
        "advice_code": reason.advice_code,
        "charge": charge_id,
        "code": reason.code,
        "decline_code": reason.decline_code,
        "doc_url": f"https://docs.stripe.com/error-codes#{reason.code.replace('_', '-')}",
        "message": reason.message,
        "network_decline_code": "01" if reason.decline_code else None,
        "payment_method": method,
        "type": "card_error",
    }
    return {name: value for name, value in fields.items() if value is not None}


def _authorise(world: World, intent: Record, method: Record, origin: Origin) -> None:
    charge = charges.make(world, intent, method, AttemptResult("succeeded", captured=False))
    intent.body |= {
        "status": "requires_capture",
        "amount_capturable": intent.body["amount"],
        "latest_charge": charge.id,
    }
    _attach_for_later(world, intent, method)
    world.save(intent)
    world.outbox.emit(intent.account, "charge.succeeded", charge.body, origin)
    world.outbox.emit(intent.account, "payment_intent.amount_capturable_updated", intent.body, origin)
    world.recorder.effect("authorization", intent.account, charge.body, intent.body["amount"], origin)
    world.schedule.add("expire_authorization", world.settings.authorization_seconds, intent.account, intent.id)


def _charge(world: World, intent: Record, method: Record, origin: Origin) -> None:
    charge = charges.make(world, intent, method, AttemptResult("succeeded", captured=True))
    at_once = intent.body["capture_method"] == "automatic"
    if at_once:
        charges.book(world, charge, origin)
        world.save(charge)
    _succeed(world, intent, method, charge, origin)
    if not at_once:
        charges.book_later(world, charge)


def _succeed(world: World, intent: Record, method: Record, charge: Record, origin: Origin) -> None:
    amount = charge.body["amount_captured"]
    intent.body |= {"status": "succeeded", "amount_received": amount, "latest_charge": charge.id, "processing": None}
    _attach_for_later(world, intent, method)
    world.save(intent)
    world.outbox.emit(intent.account, "charge.succeeded", charge.body, origin)
    world.outbox.emit(intent.account, "payment_intent.succeeded", intent.body, origin)
    world.recorder.effect("charge", intent.account, charge.body, amount, origin)
    charges.await_bank(world, charge, behaviour_of(method))


def _attach_for_later(world: World, intent: Record, method: Record) -> None:
    customer = intent.body["customer"]
    if intent.body["setup_future_usage"] and customer and method.body["customer"] is None:
        method.body["customer"] = customer
        world.save(method)


def _wait_for_bank(world: World, intent: Record, method: Record, origin: Origin) -> None:
    charge = charges.make(world, intent, method, AttemptResult("pending", captured=True))
    intent.body |= {"status": "processing", "latest_charge": charge.id}
    world.save(intent)
    world.outbox.emit(intent.account, "charge.pending", charge.body, origin)
    world.outbox.emit(intent.account, "payment_intent.processing", intent.body, origin)
    if behaviour_of(method).settles == "later":
        world.schedule.add("settle_debit", world.settings.bank_debit_seconds, intent.account, intent.id)


def settle(world: World, account: str, intent_id: str, outcome: str | None = None) -> bool:
    """The bank's answer for a processing intent: as its method would have it, or as told. False: not processing."""
    intent = world.store.find(account, "payment_intent", intent_id)
    if intent is None or intent.body["status"] != "processing":
        return False
    method, charge = _method_of(world, intent), charges.of_intent(world, intent)
    reason = behaviour_of(method).decline or Decline("payment_intent_payment_attempt_failed", "The payment failed.")
    fails = behaviour_of(method).decline is not None if outcome is None else outcome == "fail"
    if fails:
        charge.body |= {"status": "failed", "captured": False, "amount_captured": 0, "paid": False}
        charge.body |= {"failure_code": reason.code, "failure_message": reason.message}
        charge.body["outcome"] = outcome_of(behaviour_of(method), "", reason)
        world.save(charge)
        _fall_back(world, intent, method, charge, reason)
        world.outbox.emit(account, "charge.failed", charge.body, Origin())
        world.outbox.emit(account, "payment_intent.payment_failed", intent.body, Origin())
        world.recorder.effect("charge_failed", account, charge.body, intent.body["amount"], Origin())
    else:
        charge.body |= {"status": "succeeded", "paid": True}
        charges.book(world, charge, Origin())
        world.save(charge)
        _succeed(world, intent, method, charge, Origin())
    return True


def finish_authentication(world: World, account: str, intent_id: str, outcome: str) -> bool:
    """The buyer's side of 3DS, by the control API. False: the intent was not waiting for it."""
    intent = world.store.find(account, "payment_intent", intent_id)
    if intent is None or intent.body["status"] != "requires_action":
        return False
    method = _method_of(world, intent)
    intent.body["next_action"] = None
    if outcome == "fail":
        _refuse_authentication(world, intent, method)
    elif intent.body["confirmation_method"] == "manual":
        intent.private["authenticated"] = True
        intent.body["status"] = "requires_confirmation"
        world.save(intent)
    else:
        _proceed(world, intent, method, Origin())
    return True


def _refuse_authentication(world: World, intent: Record, method: Record) -> None:
    """No charge was tried, so there is none to fail: only the intent tells."""
    error = payment_error(AUTHENTICATION_FAILED, method.body, None) | {"type": "invalid_request_error"}
    intent.body |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": error}
    world.save(intent)
    world.outbox.emit(intent.account, "payment_intent.payment_failed", intent.body, Origin())


def _method_of(world: World, intent: Record) -> Record:
    method = world.store.find(intent.account, "payment_method", intent.body["payment_method"])
    assert method is not None, "an intent past confirmation names a method of its own account"
    return method
