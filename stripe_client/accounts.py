"""Connected accounts: how one stands.

Source: docs.stripe.com/api/accounts/object, docs.stripe.com/connect/account-capabilities.
"""

from dataclasses import dataclass
from urllib.parse import quote

import stripe

from stripe_client.gateway import BreakerOpenError, Gateway, error_code
from stripe_client.requests import Json, body_of, verdict_of

FAMILY = "accounts"
# 403 account_invalid: it does not exist, or has taken our access back (docs.stripe.com/error-codes).
_GONE = frozenset({"account_invalid", "resource_missing"})


@dataclass(frozen=True, slots=True)
class AccountAnswer:
    """How an account stands. `transfers` is active, pending or inactive; one without that capability is inactive."""

    account_id: str
    transfers: str
    payouts_enabled: bool
    disabled_reason: str | None


def retrieve(gateway: Gateway, account_id: str) -> AccountAnswer:
    """How an account stands now; one that is gone, or closed to us, may receive nothing.

    Raises:
        Verdict: Stripe did not answer.
    """
    path = f"/v1/accounts/{quote(account_id, safe='')}"

    def ask() -> Json | None:
        try:
            return body_of(gateway.send("get", path, {}))
        except (stripe.InvalidRequestError, stripe.PermissionError) as error:
            if error_code(error) not in _GONE:
                raise
            return None

    try:
        account = gateway.call(FAMILY, ask)
    except (stripe.StripeError, BreakerOpenError) as error:
        raise verdict_of(error, path) from None
    if account is None:
        return AccountAnswer(account_id, "inactive", payouts_enabled=False, disabled_reason="closed_to_us")
    return AccountAnswer(
        account_id=account["id"],
        transfers=(account.get("capabilities") or {}).get("transfers", "inactive"),
        payouts_enabled=account["payouts_enabled"],
        disabled_reason=(account.get("requirements") or {}).get("disabled_reason"),
    )
