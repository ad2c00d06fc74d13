"""Connected accounts as they are: made, found, allowed or forbidden to receive and to charge.

The account objects stand in the platform's store; what an account owns stands in a store of its own, under its id.
Asking for a capability makes it active at once, because nobody here verifies anything, unless the account's metadata
says otherwise (`emulator_transfers=pending`) or the control API does later.
"""

from typing import Any

from ... import PLATFORM
from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json, StripeError
from ...world import World
from .body import STATUSES, capability, described, requirements


def find(world: World, account: str) -> Record | None:
    return world.store.find(PLATFORM, "account", account)


def exists(world: World, account: str) -> bool:
    if account == PLATFORM:
        return True
    found = world.store.execute(
        "SELECT 1 FROM objects WHERE id = ? AND account = ? AND kind = 'account'", (account, PLATFORM)
    ).fetchone()
    return found is not None


def no_access(account: str) -> StripeError:
    """Stripe does not say whether such an account exists."""
    message = f"The provided key does not have access to account '{account}' (or that account does not exist)."
    return StripeError(403, "invalid_request_error", message, code="account_invalid")


def may(account: Record, capability: str) -> bool:
    return bool(account.body["capabilities"].get(capability) == "active")


def make(world: World, given: Json, origin: Origin, account_id: str | None = None) -> Record:
    body = described(account_id or f"acct_1{world.identifiers.new('', 15)[1:]}", world.clock.now(), given)
    account = world.insert(PLATFORM, "account", body, {"requested_at": {}, "reserves": False})
    for name, capability_request in given.get("capabilities", {}).items():
        if capability_request.get("requested"):
            _grant(world, account, name)
    _settle_flags(account)
    world.save(account)
    world.outbox.emit(account.id, "account.updated", account.body, origin)
    return account


def _grant(world: World, account: Record, name: str) -> None:
    account.private["requested_at"].setdefault(name, world.clock.now())
    status = account.body["metadata"].get(f"emulator_{name}", "active")
    account.body["capabilities"][name] = status if status in STATUSES else "active"


def _settle_flags(account: Record) -> None:
    statuses = account.body["capabilities"].values()
    due = ("company.tax_id",) if "inactive" in statuses else ()
    verified = ("company.tax_id",) if "pending" in statuses else ()
    reason = "requirements.past_due" if due else "requirements.pending_verification" if verified else None
    account.body["requirements"] = requirements(due=due, verified=verified, reason=reason)
    account.body["charges_enabled"] = may(account, "card_payments")


def change_capability(world: World, account: Record, name: str, status: str | None, origin: Origin) -> None:
    """`status` None: it is no longer asked for. Tells nothing when nothing changes."""
    before = dict(account.body["capabilities"])
    if status is None:
        account.private["requested_at"].pop(name, None)
        account.body["capabilities"].pop(name, None)
    else:
        account.private["requested_at"].setdefault(name, world.clock.now())
        account.body["capabilities"][name] = status
    if before == account.body["capabilities"]:
        return
    _settle_flags(account)
    world.save(account)
    changed = {"status": before.get(name, "unrequested")}
    world.outbox.emit(account.id, "capability.updated", capability(account, name), origin, changed)
    world.outbox.emit(account.id, "account.updated", account.body, origin, {"capabilities": before})


def request_capability(world: World, account: Record, name: str, origin: Origin) -> None:
    if name not in account.body["capabilities"]:
        status = account.body["metadata"].get(f"emulator_{name}", "active")
        change_capability(world, account, name, status if status in STATUSES else "active", origin)


def update(world: World, account: Record, changes: Json, origin: Origin) -> None:
    previous: dict[str, Any] = {name: account.body[name] for name in changes}
    account.body |= changes
    world.save(account)
    world.outbox.emit(account.id, "account.updated", account.body, origin, previous)
