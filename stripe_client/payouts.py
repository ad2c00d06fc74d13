"""Stripe's payouts: money on its way to the bank account (docs.stripe.com/api/payouts)."""

from collections.abc import Iterator
from datetime import UTC, datetime

from messages.statement_lines import BankPayout
from stripe_client.gateway import Gateway
from stripe_client.requests import Json, body_of, pages, read

_FAMILY = "payouts"
_PATH = "/v1/payouts"


def list_payouts(gateway: Gateway, *, since_epoch: int) -> Iterator[list[BankPayout]]:
    """The payouts created since then, newest first, page by page.

    Raises:
        Verdict: Stripe did not answer.
    """
    for page in pages(gateway, _FAMILY, _PATH, {"created": {"gte": since_epoch}}):
        yield [payout_of(body) for body in page]


def retrieve(gateway: Gateway, payout_id: str) -> BankPayout:
    """One payout.

    Raises:
        Verdict: Stripe did not answer, or has no such payout.
    """
    return payout_of(body_of(read(gateway, _FAMILY, f"{_PATH}/{payout_id}", {})))


def payout_of(body: Json) -> BankPayout:
    """A payout in our words."""
    return BankPayout(
        payout_id=body["id"],
        amount_minor=body["amount"],
        currency=body["currency"],
        automatic=body["automatic"],
        status=body["status"],
        failure_code=body["failure_code"],
        balance_transaction_id=body["balance_transaction"],
        failure_balance_transaction_id=body["failure_balance_transaction"],
        contents_ready=body["reconciliation_status"] == "completed",
        created_at=datetime.fromtimestamp(body["created"], UTC),
        arrives_at=datetime.fromtimestamp(body["arrival_date"], UTC),
    )
