"""Transfers to connected accounts and their reversals: make, read, and look one up by our own id.

Source: docs.stripe.com/connect/separate-charges-and-transfers, docs.stripe.com/api/transfers, .../transfer_reversals.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from messages.ids import ReversalId, TenantId, TransferId
from messages.money import Money
from messages.verdicts import GiveUp
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent, Declined, Refused, ReversalAnswer, TransferAnswer, Unanswered
from stripe_client.requests import Json, balance_transaction, body_of, id_in_metadata, pages, read_or_none, since, write

CREATE = "transfer.create"
REVERSE = "transfer.reverse"
FAMILY = "transfers"
_PATH = "/v1/transfers"
_EXPAND = ["balance_transaction"]


def creation(
    *,
    tenant_id: TenantId,
    transfer_id: TransferId,
    account_id: str,
    amount: Money,
    charge_id: str | None,
    transfer_group: str,
    traced: Mapping[str, str] | None = None,
) -> Json:
    """The body of a transfer. Built once, kept in the call's row and resent as it is.

    With `charge_id` it is paid out of that charge, as soon as its money has settled, and Stripe takes the group from
    the charge; without, out of what is available now.
    """
    body: dict[str, Any] = {
        "amount": amount.minor,
        "currency": amount.currency,
        "destination": account_id,
        "metadata": {"tenant_id": str(tenant_id), "transfer_id": str(transfer_id)},
        "expand": _EXPAND,
    }
    if charge_id is not None:
        body["source_transaction"] = charge_id
    else:
        body["transfer_group"] = transfer_group
    body["metadata"] |= traced or {}
    return body


def create(
    gateway: Gateway, body: Json, *, idempotency_key: str, send_before: float
) -> TransferAnswer | Refused | Unanswered:
    """Send money to a recipient. `send_before` (time.monotonic): never sent after the key may have been forgotten.

    Raises:
        Verdict: TryAgain, TryLater or GiveUp, by the table in stripe_client/errors.py.
    """
    answer = write(gateway, FAMILY, _PATH, body, idempotency_key=idempotency_key, send_before=send_before)
    if isinstance(answer, Refused | Unanswered):
        return answer
    if isinstance(answer, Declined):
        raise GiveUp(f"Stripe answered a transfer as if it were a card payment: {answer.code}")
    return answer_of(body_of(answer), answer.request_id)


def find(gateway: Gateway, transfer_id: TransferId, *, account_id: str, since_epoch: float) -> TransferAnswer | Absent:
    """The transfer we made, by our id in its metadata, among all to this account since then.

    Raises:
        Verdict: Stripe did not answer.
    """
    seen = 0
    for page in pages(gateway, FAMILY, _PATH, {"destination": account_id, **since(since_epoch), **_expanded()}):
        for transfer in page:
            if id_in_metadata(transfer, "transfer_id") == transfer_id:
                return answer_of(transfer)
        seen += len(page)
    return Absent(f"none of the {seen} transfers to {account_id} since then carries transfer_id {transfer_id}")


def listed(gateway: Gateway, *, since_epoch: float) -> Iterator[TransferAnswer]:
    """Every transfer since then, newest first, page by page.

    Raises:
        Verdict: Stripe did not answer.
    """
    for page in pages(gateway, FAMILY, _PATH, since(since_epoch) | _expanded()):
        yield from map(answer_of, page)


def listed_pages(
    gateway: Gateway, *, since_epoch: float, before_epoch: float, starting_after: str | None
) -> Iterator[list[TransferAnswer]]:
    """Pages of the transfers made in [since, before), newest first; `starting_after` goes on behind one.

    Raises as `find`.
    """
    window = {"created": {"gte": int(since_epoch), "lt": int(before_epoch)}}
    for page in pages(gateway, FAMILY, _PATH, window | _expanded(), starting_after=starting_after):
        yield [answer_of(one) for one in page]


def retrieve(gateway: Gateway, stripe_transfer_id: str) -> TransferAnswer | None:
    """One transfer as it stands; None when Stripe has no such one. Raises as `find`."""
    found = read_or_none(gateway, FAMILY, f"{_PATH}/{quote(stripe_transfer_id, safe='')}", {"expand": _EXPAND})
    return answer_of(found) if found is not None else None


def answer_of(transfer: Json, request_id: str | None = None) -> TransferAnswer:
    """A transfer in our words."""
    return TransferAnswer(
        stripe_transfer_id=transfer["id"],
        amount=Money(transfer["amount"], transfer["currency"]),
        reversed=Money(transfer["amount_reversed"], transfer["currency"]),
        account_id=_id_of(transfer["destination"]),
        charge_id=_id_of(transfer["source_transaction"]) if transfer.get("source_transaction") else None,
        transfer_id=id_in_metadata(transfer, "transfer_id"),
        tenant_id=id_in_metadata(transfer, "tenant_id"),
        balance=balance_transaction(transfer["balance_transaction"]),
        request_id=request_id,
    )


def reversing(*, tenant_id: TenantId, reversal_id: ReversalId, amount: Money) -> Json:
    """The body of a reversal."""
    return {
        "amount": amount.minor,
        "metadata": {"tenant_id": str(tenant_id), "reversal_id": str(reversal_id)},
        "expand": _EXPAND,
    }


def reverse(
    gateway: Gateway, stripe_transfer_id: str, body: Json, *, idempotency_key: str, send_before: float
) -> ReversalAnswer | Refused | Unanswered:
    """Take money of a transfer back. Raises as `create`."""
    path = _reversals_of(stripe_transfer_id)
    answer = write(gateway, FAMILY, path, body, idempotency_key=idempotency_key, send_before=send_before)
    if isinstance(answer, Refused | Unanswered):
        return answer
    if isinstance(answer, Declined):
        raise GiveUp(f"Stripe answered a reversal as if it were a card payment: {answer.code}")
    return reversal_of(body_of(answer), answer.request_id)


def find_reversal(gateway: Gateway, reversal_id: ReversalId, *, stripe_transfer_id: str) -> ReversalAnswer | Absent:
    """The reversal we made, by our id in its metadata, among all of its transfer. Raises as `find`."""
    seen = 0
    for answer in reversals_of(gateway, stripe_transfer_id):
        if answer.reversal_id == reversal_id:
            return answer
        seen += 1
    return Absent(f"none of the {seen} reversals of {stripe_transfer_id} carries reversal_id {reversal_id}")


def reversals_of(gateway: Gateway, stripe_transfer_id: str) -> Iterator[ReversalAnswer]:
    """Every reversal of a transfer, newest first. Raises as `find`."""
    for page in pages(gateway, FAMILY, _reversals_of(stripe_transfer_id), _expanded()):
        yield from map(reversal_of, page)


def reversal_of(reversal: Json, request_id: str | None = None) -> ReversalAnswer:
    """A reversal in our words."""
    return ReversalAnswer(
        stripe_reversal_id=reversal["id"],
        stripe_transfer_id=_id_of(reversal["transfer"]),
        amount=Money(reversal["amount"], reversal["currency"]),
        reversal_id=id_in_metadata(reversal, "reversal_id"),
        balance=balance_transaction(reversal["balance_transaction"]),
        request_id=request_id,
    )


def _reversals_of(stripe_transfer_id: str) -> str:
    return f"{_PATH}/{quote(stripe_transfer_id, safe='')}/reversals"


def _id_of(reference: Json | str) -> str:
    found = reference if isinstance(reference, str) else reference["id"]
    assert isinstance(found, str), "Stripe's references are ids"
    return found


def _expanded() -> Json:
    return {"expand": [f"data.{path}" for path in _EXPAND]}
