"""The check of the bank's own books sees what it is there to see, and undoes the request that would break them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.local.stripe import PLATFORM
from deploy.local.stripe.resources.accounts import lifecycle as accounts
from deploy.local.stripe.resources.application_fees import lifecycle as application_fees
from deploy.local.stripe.resources.application_fees.lifecycle import FeeCollection, FeeRefundRequest
from deploy.local.stripe.resources.balance import invariants
from deploy.local.stripe.resources.balance.invariants import LedgerBrokenError
from deploy.local.stripe.resources.transfer_reversals import lifecycle as transfer_reversals
from deploy.local.stripe.resources.transfer_reversals.lifecycle import ReversalRequest
from deploy.local.stripe.resources.transfers import lifecycle as transfers
from deploy.local.stripe.resources.transfers.lifecycle import TransferRequest
from deploy.local.stripe.settings import Settings
from deploy.local.stripe.state.recorder import Origin
from deploy.local.stripe.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A transfer of 500 with 200 taken back, and a fee of 40 with 10 given back."""
    opened = World.open(Settings(1, 2, tmp_path / "stripe.sqlite3", "token", seed=1))
    accounts.make(opened, {}, Origin(), "acct_venue")
    now = opened.clock.now()
    transfer, payment = transfers.send(opened, TransferRequest("acct_venue", 500, "usd", now), Origin())
    transfer_reversals.reverse(opened, transfer, ReversalRequest(200), Origin())
    fee = application_fees.collect(opened, FeeCollection(payment, 40, now), Origin())
    application_fees.make_refund(opened, fee, FeeRefundRequest(10), Origin())
    return opened


def _change(world: World, kind: str, field: str, value: Any, account: str = PLATFORM) -> None:
    world.store.execute(
        f"UPDATE objects SET body = CAST(json_set(body, '$.{field}', ?) AS BLOB) WHERE kind = ? AND account = ?",
        (value, kind, account),
    )


BREAKS: dict[str, Callable[[World], object]] = {
    "the rows add up": lambda world: world.store.execute(
        "UPDATE totals SET net = net + 1 WHERE account = 'acct_venue'"
    ),
    "the movements add up": lambda world: world.store.execute("DELETE FROM movements WHERE account = 'acct_venue'"),
    "but the platform has": lambda world: _change(world, "transfer", "amount_reversed", 199),
    "and the account -": lambda world: _change(world, "balance_transaction", "amount", -200, "acct_venue"),
    "its refunds add up": lambda world: _change(world, "application_fee", "amount_refunded", 40),
}


def test_books_that_agree_are_silent(world: World) -> None:
    assert invariants.broken(world) == []


@pytest.mark.parametrize("sentence", BREAKS)
def test_books_that_do_not_agree_are_named(world: World, sentence: str) -> None:
    BREAKS[sentence](world)
    assert any(sentence in said for said in invariants.broken(world))
    with pytest.raises(LedgerBrokenError, match=sentence):
        invariants.verify(world)


def test_more_than_was_captured_sent_on_is_named(world: World) -> None:
    charge = {"id": "ch_1", "created": 1, "amount_captured": 100, "customer": None, "payment_intent": None}
    world.insert(PLATFORM, "charge", charge)
    sending = TransferRequest("acct_venue", 101, "usd", world.clock.now(), source_transaction="ch_1")
    transfers.send(world, sending, Origin())
    assert invariants.broken(world) == ["ch_1: 101 sent on from 100 captured"]
