"""Inside a connected account: its payouts, what they contained, and its balance. Reads only.

A transfer of ours is a payment there, whose source names it (docs.stripe.com/connect/payouts-connected-accounts).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from messages.statement_lines import BankPayout, ConnectedLine
from stripe_client.gateway import Gateway
from stripe_client.payouts import payout_of
from stripe_client.requests import Json, body_of, pages, read

_FAMILY = "payouts"
_MADE_BY = ("source_transfer", "source_transfer_reversal")


def list_payouts(gateway: Gateway, account_id: str, *, since_epoch: int) -> Iterator[list[BankPayout]]:
    """The account's payouts created since then, newest first, page by page.

    Raises:
        Verdict: Stripe did not answer, or the account is closed to us.
    """
    params = {"created": {"gte": since_epoch}}
    for page in pages(gateway, _FAMILY, "/v1/payouts", params, account_id=account_id):
        yield [payout_of(body) for body in page]


def list_contents(gateway: Gateway, account_id: str, payout_id: str) -> Iterator[list[ConnectedLine]]:
    """What an automatic payout of the account contained, page by page; its own line is among it. Raises as above."""
    params = {"payout": payout_id, "expand": ["data.source"]}
    for page in pages(gateway, _FAMILY, "/v1/balance_transactions", params, account_id=account_id):
        yield [_line(body) for body in page]


def _line(body: Json) -> ConnectedLine:
    source = body["source"] if isinstance(body["source"], dict) else {"id": body["source"]}
    return ConnectedLine(
        balance_transaction_id=body["id"],
        type=body["type"],
        source_id=source["id"],
        made_by=_made_by(source),
        net_minor=body["net"],
        currency=body["currency"],
        created_at=datetime.fromtimestamp(body["created"], UTC),
    )


def _made_by(source: Json) -> str | None:
    """The platform's object behind a movement; a fee refund has the same id on both sides."""
    if source.get("object") == "fee_refund":
        return str(source["id"])
    named = next((source[name] for name in _MADE_BY if source.get(name)), None)
    return named["id"] if isinstance(named, dict) else named


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """By currency, in minor units; also currencies in which the fleet does not charge."""

    available: dict[str, int]
    pending: dict[str, int]


def read_balance(gateway: Gateway, account_id: str) -> AccountBalance:
    """What lies in the account. Raises as above."""
    answer = body_of(read(gateway, "balance", "/v1/balance", {}, account_id=account_id))
    return AccountBalance(_by_currency(answer["available"]), _by_currency(answer["pending"]))


def _by_currency(amounts: list[dict[str, Any]]) -> dict[str, int]:
    return {one["currency"]: one["amount"] for one in amounts}
