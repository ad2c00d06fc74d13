"""Application fees: what came back to us of destination charges (docs.stripe.com/api/application_fees)."""

from collections.abc import Iterator
from dataclasses import dataclass

from messages.money import Money
from stripe_client.gateway import Gateway
from stripe_client.outcomes import BalanceTransaction
from stripe_client.requests import Json, balance_transaction, pages, since

_FAMILY = "application_fees"
_PATH = "/v1/application_fees"
_EXPAND = ["data.balance_transaction", "data.refunds.data.balance_transaction"]


@dataclass(frozen=True, slots=True)
class ListedFee:
    """A fee as it stands, with what its taking and its latest ten refunds did to our balance."""

    fee_id: str
    charge_id: str | None
    amount: Money
    refunded: Money
    movements: tuple[BalanceTransaction, ...]


def listed(gateway: Gateway, *, since_epoch: float) -> Iterator[ListedFee]:
    """Every application fee since then, newest first, page by page.

    Raises:
        Verdict: Stripe did not answer.
    """
    for page in pages(gateway, _FAMILY, _PATH, since(since_epoch) | {"expand": _EXPAND}):
        yield from map(_fee, page)


def _fee(fee: Json) -> ListedFee:
    booked = [fee["balance_transaction"], *(one["balance_transaction"] for one in fee["refunds"]["data"])]
    moved = [balance_transaction(one) for one in booked]
    return ListedFee(
        fee_id=fee["id"],
        charge_id=fee.get("originating_transaction"),
        amount=Money(fee["amount"], fee["currency"]),
        refunded=Money(fee["amount_refunded"], fee["currency"]),
        movements=tuple(one for one in moved if one is not None),
    )
