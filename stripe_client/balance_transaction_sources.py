"""Whose money a balance transaction moved: its source object names our ids, or the intent that is in the book."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from stripe_client.gateway import Gateway
from stripe_client.requests import Json, read_or_none

# Sources that belong to one payment; fees, payouts and top-ups belong to the account alone.
_PATHS = {
    "ch": "/v1/charges",
    "py": "/v1/charges",
    "re": "/v1/refunds",
    "pyr": "/v1/refunds",
    "dp": "/v1/disputes",
    "du": "/v1/disputes",
    "tr": "/v1/transfers",
    "fee": "/v1/application_fees",
}
# These can only be had by way of what they belong to, which the balance transaction's own source names.
_PARENTS = {"trr": "transfer", "fr": "fee"}
# A transfer and an application fee of a destination charge carry nothing of ours, but name the charge.
_CHARGES = ("source_transaction", "originating_transaction")
_FAMILY = "sources"


@dataclass(frozen=True, slots=True)
class OwnerClaim:
    """What an object of Stripe says of its owner; anybody with our key can have written the metadata.

    `account_id` is the connected account that a transfer went to.
    """

    intent_id: str | None
    tenant_id: UUID | None
    payment_id: UUID | None
    account_id: str | None


NOBODYS = OwnerClaim(None, None, None, None)


def claim_of(gateway: Gateway, source_id: str | None, balance_transaction_id: str) -> OwnerClaim:
    """Ask for the source of a balance transaction, and for the charge behind it.

    Raises:
        Verdict: Stripe did not answer.
    """
    body = _object(gateway, _parent_of(gateway, source_id, balance_transaction_id))
    if body is None:
        return NOBODYS
    metadata, account = body.get("metadata") or {}, body.get("destination")
    behind = next((body[name] for name in _CHARGES if isinstance(body.get(name), str)), None)
    charge = _object(gateway, behind) or body
    intent = charge.get("payment_intent")
    return OwnerClaim(
        intent_id=intent if isinstance(intent, str) else None,
        tenant_id=_uuid(metadata.get("tenant_id")),
        payment_id=_uuid(metadata.get("payment_id")),
        account_id=account if isinstance(account, str) else None,
    )


def _parent_of(gateway: Gateway, source_id: str | None, balance_transaction_id: str) -> str | None:
    name = _PARENTS.get((source_id or "").partition("_")[0])
    if name is None:
        return source_id
    path = f"/v1/balance_transactions/{balance_transaction_id}"
    line = read_or_none(gateway, _FAMILY, path, {"expand": ["source"]}) or {}
    source = line.get("source")
    parent = source.get(name) if isinstance(source, dict) else None
    return parent if isinstance(parent, str) else None


def _object(gateway: Gateway, object_id: str | None) -> Json | None:
    path = _PATHS.get((object_id or "").partition("_")[0])
    return read_or_none(gateway, _FAMILY, f"{path}/{object_id}") if path else None


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:  # made by someone else
        return None
