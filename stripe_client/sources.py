"""Whose money a balance transaction moved: its source object names our ids, or the intent that is in the book."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from stripe_client.exchange import read_or_none
from stripe_client.gateway import Gateway

# Sources that belong to one payment; fees, payouts and top-ups belong to the account alone.
_PATHS = {
    "ch": "/v1/charges",
    "py": "/v1/charges",
    "re": "/v1/refunds",
    "pyr": "/v1/refunds",
    "dp": "/v1/disputes",
    "du": "/v1/disputes",
    "tr": "/v1/transfers",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What an object of Stripe says of its owner; anybody with our key can have written the metadata.

    `account_id` is the connected account that a transfer went to.
    """

    intent_id: str | None
    tenant_id: UUID | None
    payment_id: UUID | None
    account_id: str | None


NOBODYS = Claim(None, None, None, None)


def claim_of(gateway: Gateway, source_id: str | None) -> Claim:
    """Ask for the source of a balance transaction.

    Raises:
        Verdict: Stripe did not answer.
    """
    path = _PATHS.get((source_id or "").partition("_")[0])
    body = read_or_none(gateway, "sources", f"{path}/{source_id}") if path else None
    if body is None:
        return NOBODYS
    intent, account, metadata = body.get("payment_intent"), body.get("destination"), body.get("metadata") or {}
    return Claim(
        intent_id=intent if isinstance(intent, str) else None,
        tenant_id=_uuid(metadata.get("tenant_id")),
        payment_id=_uuid(metadata.get("payment_id")),
        account_id=account if isinstance(account, str) else None,
    )


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:  # made by someone else
        return None
