"""Connected accounts as they are: made, found, allowed or forbidden to receive and to charge.

The account objects stand in the platform's store; what an account owns stands in a store of its own, under its id.
Asking for a capability makes it active at once, because nobody here verifies anything, unless the account's metadata
says otherwise (`emulator_transfers=pending`) or the control door does later.
"""

from typing import Any

from ... import PLATFORM
from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json, StripeError
from ...world import World
from ..balance.amounts import check_currency

CAPABILITIES = ("card_payments", "transfers")
STATUSES = ("active", "inactive", "pending")
_CURRENCIES = {"GB": "gbp", "NO": "nok", "SE": "sek", "DK": "dkk", "CH": "chf", "JP": "jpy", "CA": "cad", "AU": "aud"}
_EURO = frozenset(["AT", "BE", "DE", "ES", "FI", "FR", "GR", "IE", "IT", "LU", "NL", "PT"])
_PROFILE = (
    "annual_revenue estimated_worker_count mcc minority_owned_business_designation name product_description"
    " support_address support_email support_phone support_url url"
)


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
    for name, wish in given.get("capabilities", {}).items():
        if wish.get("requested"):
            _ask_for(world, account, name)
    _settle_flags(account)
    world.save(account)
    world.outbox.emit(account.id, "account.updated", account.body, origin)
    return account


def described(account_id: str, created: int, given: Json) -> Json:
    country = given.get("country", "US")
    currency = _CURRENCIES.get(country, "eur" if country in _EURO else "usd")
    listed = {"object": "list", "data": [], "has_more": False, "url": f"/v1/accounts/{account_id}/external_accounts"}
    terms = {"date": None, "ip": None, "user_agent": None}
    return {
        "id": account_id,
        "object": "account",
        "business_profile": dict.fromkeys(_PROFILE.split()) | given.get("business_profile", {}),
        "business_type": given.get("business_type"),
        "capabilities": {},
        "charges_enabled": False,
        "controller": _controller(given.get("controller", {})),
        "country": country,
        "created": created,
        "default_currency": check_currency(given.get("default_currency", currency)),
        "details_submitted": True,
        "email": given.get("email"),
        "external_accounts": listed,
        "future_requirements": _requirements(),
        "metadata": {name: value for name, value in given.get("metadata", {}).items() if name and value},
        "payouts_enabled": True,
        "requirements": _requirements(),
        "settings": _settings(),
        "tos_acceptance": terms | given.get("tos_acceptance", {}),
        "type": given.get("type", "none" if "controller" in given else "standard"),
    }


def _controller(given: Json) -> Json:
    return {
        "fees": {"payer": "application"},
        "is_controller": True,
        "losses": {"payments": "application"},
        "requirement_collection": "application",
        "stripe_dashboard": {"type": "none"},
        "type": "application",
    } | given


def _requirements(*, due: tuple[str, ...] = (), verified: tuple[str, ...] = (), reason: str | None = None) -> Json:
    return {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": list(due),
        "disabled_reason": reason,
        "errors": [],
        "eventually_due": list(due),
        "past_due": [],
        "pending_verification": list(verified),
    }


def _settings() -> Json:
    prefixes = ("statement_descriptor_prefix", "statement_descriptor_prefix_kana", "statement_descriptor_prefix_kanji")
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {"decline_on": {"avs_failure": False, "cvc_failure": False}} | dict.fromkeys(prefixes),
        "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": None},
        "payments": dict.fromkeys(("statement_descriptor", "statement_descriptor_kana", "statement_descriptor_kanji")),
        "payouts": {
            "debit_negative_balances": False,
            "schedule": {"delay_days": 2, "interval": "manual"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }


def _ask_for(world: World, account: Record, name: str) -> None:
    account.private["requested_at"].setdefault(name, world.clock.now())
    wished = account.body["metadata"].get(f"emulator_{name}", "active")
    account.body["capabilities"][name] = wished if wished in STATUSES else "active"


def _settle_flags(account: Record) -> None:
    statuses = account.body["capabilities"].values()
    due = ("company.tax_id",) if "inactive" in statuses else ()
    verified = ("company.tax_id",) if "pending" in statuses else ()
    reason = "requirements.past_due" if due else "requirements.pending_verification" if verified else None
    account.body["requirements"] = _requirements(due=due, verified=verified, reason=reason)
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
        wished = account.body["metadata"].get(f"emulator_{name}", "active")
        change_capability(world, account, name, wished if wished in STATUSES else "active", origin)


def capability(account: Record, name: str) -> Json:
    status = account.body["capabilities"].get(name, "unrequested")
    due = ("company.tax_id",) if status == "inactive" else ()
    verified = ("company.tax_id",) if status == "pending" else ()
    reason = {"inactive": "requirements.fields_needed", "pending": "pending.review"}.get(status)
    return {
        "id": name,
        "object": "capability",
        "account": account.id,
        "future_requirements": _requirements(),
        "requested": name in account.private["requested_at"],
        "requested_at": account.private["requested_at"].get(name),
        "requirements": _requirements(due=due, verified=verified, reason=reason),
        "status": status,
    }


def update(world: World, account: Record, changes: Json, origin: Origin) -> None:
    previous: dict[str, Any] = {name: account.body[name] for name in changes}
    account.body |= changes
    world.save(account)
    world.outbox.emit(account.id, "account.updated", account.body, origin, previous)
