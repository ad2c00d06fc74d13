"""Connected accounts: made, found, allowed or not allowed to receive and to charge.

The account objects are the platform's; what an account owns is stored under the account's id. A capability that is
asked for is active at once, because nobody here verifies anything, unless the account's metadata says otherwise
(`emulator_transfers=pending`) or the control API does later.
"""

from typing import Any

from ... import PLATFORM
from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json, StripeError
from ...world import World
from .body import STATUSES, capability, described, requirements


def find(world: World, account: str) -> Record | None:
    """The account, or None."""
    return world.store.find(PLATFORM, "account", account)


def exists(world: World, account: str) -> bool:
    """Whether requests may name it: the platform itself, or a connected account."""
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
    """Whether the capability (`transfers`, `card_payments`) is active."""
    return bool(account.body["capabilities"].get(capability) == "active")


def make(world: World, given: Json, origin: Origin, account_id: str | None = None) -> Record:
    """Make an account from the parameters of POST /v1/accounts; an id of one's own is for the control API."""
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
    """Set a status, or with None withdraw the request; emits events only when something changed."""
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
    """Make it active, or what the account's metadata says; nothing if it was asked for before."""
    if name not in account.body["capabilities"]:
        status = account.body["metadata"].get(f"emulator_{name}", "active")
        change_capability(world, account, name, status if status in STATUSES else "active", origin)


def update(world: World, account: Record, changes: Json, origin: Origin) -> None:
    """Change these fields and emit `account.updated` with their previous values."""
    previous: dict[str, Any] = {name: account.body[name] for name in changes}
    account.body |= changes
    world.save(account)
    world.outbox.emit(account.id, "account.updated", account.body, origin, previous)
