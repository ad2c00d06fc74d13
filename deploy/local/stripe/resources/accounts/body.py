"""The shape of a connected account and of its capabilities. Source: docs.stripe.com/api/accounts/object."""

from ...state.store import Record
from ...wire.errors import Json
from ..balance.amounts import check_currency

CAPABILITIES = ("card_payments", "transfers")
STATUSES = ("active", "inactive", "pending")
_CURRENCIES = {"GB": "gbp", "NO": "nok", "SE": "sek", "DK": "dkk", "CH": "chf", "JP": "jpy", "CA": "cad", "AU": "aud"}
_EURO = frozenset(["AT", "BE", "DE", "ES", "FI", "FR", "GR", "IE", "IT", "LU", "NL", "PT"])
_PROFILE = (
    "annual_revenue estimated_worker_count mcc minority_owned_business_designation name product_description"
    " support_address support_email support_phone support_url url"
)


def described(account_id: str, created: int, given: Json) -> Json:
    """A new account object from the parameters of its creation; `created` in seconds since 1970."""
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
        "future_requirements": requirements(),
        "metadata": {name: value for name, value in given.get("metadata", {}).items() if name and value},
        "payouts_enabled": True,
        "requirements": requirements(),
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


def requirements(*, due: tuple[str, ...] = (), verified: tuple[str, ...] = (), reason: str | None = None) -> Json:
    """The `requirements` hash: what is due, what is being verified, and why the account is disabled."""
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


def capability(account: Record, name: str) -> Json:
    """A capability object; `unrequested` if nobody asked for it."""
    status = account.body["capabilities"].get(name, "unrequested")
    due = ("company.tax_id",) if status == "inactive" else ()
    verified = ("company.tax_id",) if status == "pending" else ()
    reason = {"inactive": "requirements.fields_needed", "pending": "pending.review"}.get(status)
    return {
        "id": name,
        "object": "capability",
        "account": account.id,
        "future_requirements": requirements(),
        "requested": name in account.private["requested_at"],
        "requested_at": account.private["requested_at"].get(name),
        "requirements": requirements(due=due, verified=verified, reason=reason),
        "status": status,
    }
