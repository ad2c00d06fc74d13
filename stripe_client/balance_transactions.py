"""Stripe's balance transactions: every movement of money in our balance (docs.stripe.com/api/balance_transactions)."""

from collections.abc import Iterator
from datetime import UTC, datetime

from messages.statement_lines import BankLine
from stripe_client.gateway import Gateway
from stripe_client.requests import Json, pages, read_or_none

_FAMILY = "balance_transactions"
_PATH = "/v1/balance_transactions"


def list_lines(
    gateway: Gateway, *, since_epoch: int, before_epoch: int, starting_after: str | None = None
) -> Iterator[list[BankLine]]:
    """The lines created in [since, before), newest first, page by page; `starting_after` goes on behind a line.

    Raises:
        Verdict: Stripe did not answer.
    """
    params = {"created": {"gte": since_epoch, "lt": before_epoch}}
    for page in pages(gateway, _FAMILY, _PATH, params, starting_after=starting_after):
        yield [_line(body) for body in page]


def list_contents(gateway: Gateway, payout_id: str, *, starting_after: str | None = None) -> Iterator[list[BankLine]]:
    """What an automatic payout contained, newest first, page by page; the payout's own line is among it.

    Raises:
        Verdict: Stripe did not answer.
    """
    for page in pages(gateway, _FAMILY, _PATH, {"payout": payout_id}, starting_after=starting_after):
        yield [_line(body) for body in page]


def retrieve(gateway: Gateway, balance_transaction_id: str) -> BankLine | None:
    """One line; None when Stripe has no such one in this account and mode.

    Raises:
        Verdict: Stripe did not answer.
    """
    body = read_or_none(gateway, _FAMILY, f"{_PATH}/{balance_transaction_id}")
    return _line(body) if body is not None else None


def _line(body: Json) -> BankLine:
    return BankLine(
        balance_transaction_id=body["id"],
        type=body["type"],
        reporting_category=body["reporting_category"],
        source_id=body["source"],
        amount_minor=body["amount"],
        fee_minor=body["fee"],
        net_minor=body["net"],
        currency=body["currency"],
        created_at=datetime.fromtimestamp(body["created"], UTC),
        available_at=datetime.fromtimestamp(body["available_on"], UTC),
    )
