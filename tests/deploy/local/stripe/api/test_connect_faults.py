"""Transfers and reversals under faults, repeats and parallel clients: one effect for each key, and none invented."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl

UNKNOWN = (stripe.APIConnectionError, stripe.APIError)
FAULTS: dict[str, tuple[dict[str, Any], bool]] = {
    "drop_before": ({}, False),
    "drop_after": ({}, True),
    "truncate_body": ({}, True),
    "non_json_body": ({}, True),
    "error": ({"status": 503}, False),
    "error_with_effect": ({}, True),
}


@pytest.fixture
def move(client: stripe.StripeClient, control: EmulatorControl, venue: str) -> dict[str, Callable[[str], Any]]:
    """The two calls that move money, each by its key: 100 to the venue, and 100 back of a transfer made before."""
    control.adjust_balance(10_000)
    params: Any = {"amount": 100, "currency": "usd", "destination": venue, "metadata": {"leg": "1"}}
    sent = client.v1.transfers.create(params={**params, "amount": 5000})
    return {
        "transfer": lambda key: client.v1.transfers.create(params=params, options={"idempotency_key": key}),
        "transfer_reversal": lambda key: client.v1.transfers.reversals.create(
            sent.id, params={"amount": 100}, options={"idempotency_key": key}
        ),
    }


def _made(control: EmulatorControl, kind: str, key: str) -> int:
    return sum(effect["kind"] == kind and effect["key"] == key for effect in control.effects())


@pytest.mark.parametrize("kind", ["transfer", "transfer_reversal"])
@pytest.mark.parametrize("effect", FAULTS)
def test_a_fault_leaves_the_effect_that_it_says(
    move: dict[str, Callable[[str], Any]], control: EmulatorControl, kind: str, effect: str
) -> None:
    details, happens = FAULTS[effect]
    path = "/v1/transfers" if kind == "transfer" else "/v1/transfers/*/reversals"
    control.add_fault(effect, path=path, method="POST", nth=1, **details)
    with pytest.raises(UNKNOWN):
        move[kind]("leg-1")
    assert _made(control, kind, "leg-1") == happens
    if effect == "error_with_effect":
        with pytest.raises(stripe.APIError):
            move[kind]("leg-1")
    else:
        assert move[kind]("leg-1").amount == 100
    assert _made(control, kind, "leg-1") == 1
    assert len(control.firings()) == 1
    assert control.summary()["ledger_errors"] == []


def test_a_transfer_rolled_forward_shows_only_later(
    move: dict[str, Callable[[str], Any]], client: stripe.StripeClient, control: EmulatorControl
) -> None:
    control.set_clock(1_800_000_000)
    control.add_fault("error_rolled_forward", path="/v1/transfers", nth=1, seconds=5)
    with pytest.raises(stripe.APIError):
        move["transfer"]("leg-1")
    assert _made(control, "transfer", "leg-1") == 0
    control.advance_clock(5)
    (made,) = (one for one in client.v1.transfers.list().data if one.amount == 100)
    assert made.metadata["leg"] == "1"
    told = client.v1.events.list(params={"type": "transfer.created", "limit": 1}).data[0]
    assert told.request is not None
    assert told.request.idempotency_key == "leg-1"


@pytest.mark.parametrize("kind", ["transfer", "transfer_reversal"])
def test_ten_parallel_calls_with_one_key_move_money_once(
    move: dict[str, Callable[[str], Any]], control: EmulatorControl, kind: str
) -> None:
    def attempt(_: int) -> str | None:
        try:
            return str(move[kind]("leg-1").id)
        except stripe.APIError as held:
            assert held.http_status == 409
            return None

    with ThreadPoolExecutor(10) as clients:
        ids = {made for made in clients.map(attempt, range(10)) if made}
    assert len(ids) == 1
    assert _made(control, kind, "leg-1") == 1


def test_parallel_reversals_with_their_own_keys_stay_within_the_transfer(
    move: dict[str, Callable[[str], Any]], client: stripe.StripeClient, control: EmulatorControl
) -> None:
    small = move["transfer"]("leg-1")
    reverse = client.v1.transfers.reversals.create

    def attempt(number: int) -> int:
        try:
            return reverse(small.id, params={"amount": 30}, options={"idempotency_key": f"back-{number}"}).amount
        except stripe.InvalidRequestError:
            return 0

    with ThreadPoolExecutor(8) as clients:
        taken = sum(clients.map(attempt, range(8)))
    assert taken == client.v1.transfers.retrieve(small.id).amount_reversed == 90


def test_the_same_key_in_two_accounts_is_two_operations(
    client: stripe.StripeClient, control: EmulatorControl, venue: str
) -> None:
    control.adjust_balance(500)
    control.adjust_balance(500, account=venue)
    given: Any = {"amount": 100, "currency": "usd"}
    ours = client.v1.payouts.create(params=given, options={"idempotency_key": "same"})
    theirs = client.v1.payouts.create(params=given, options={"idempotency_key": "same", "stripe_account": venue})
    assert ours.id != theirs.id
    assert _made(control, "payout", "same") == 2


def test_a_key_is_forgotten_after_a_day_and_then_moves_money_again(
    move: dict[str, Callable[[str], Any]], control: EmulatorControl
) -> None:
    """The danger that a fleet must look up before it repeats."""
    first = move["transfer"]("leg-1")
    control.advance_clock(24 * 3600)
    assert move["transfer"]("leg-1").id != first.id
    assert _made(control, "transfer", "leg-1") == 2
