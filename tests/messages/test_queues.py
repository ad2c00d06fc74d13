"""Patience is written in one table, and the table is complete."""

import importlib
import pkgutil
from dataclasses import astuple

import pytest

import messages
from messages.base import Fact, Message
from messages.patience import Patience
from messages.queues import ORDERS_QUEUE, PUBLIC_EVENTS, ROUTES, kind_to_message, urgency_of

RABBITMQ_CONSUMER_TIMEOUT_SECONDS = 30 * 60

for found in pkgutil.iter_modules(messages.__path__):
    importlib.import_module(f"messages.{found.name}")

ALL_PATIENCE = pytest.mark.parametrize(
    "patience", [route.patience for route in ROUTES.values()], ids=[message.kind for message in ROUTES]
)


def all_below(word: type[Message] | type[Fact]) -> set[type]:
    direct = {kind for kind in word.__subclasses__() if kind.__module__.startswith("messages.")}
    return direct.union(*(all_below(kind) for kind in direct))


def test_each_message_has_exactly_one_route() -> None:
    assert set(ROUTES) == all_below(Message)


def test_each_public_event_is_in_the_table_once() -> None:
    told = {fact for fact in all_below(Fact) if not fact.__subclasses__()}
    assert set(PUBLIC_EVENTS) == told
    assert len({fact.event_type for fact in PUBLIC_EVENTS}) == len(PUBLIC_EVENTS)


def test_no_two_messages_share_a_kind() -> None:
    assert len(kind_to_message()) == len(ROUTES)
    assert all(message.kind == kind for kind, message in kind_to_message().items())


def test_no_message_waits_in_the_queue_of_the_orders() -> None:
    assert ORDERS_QUEUE not in {route.queue for route in ROUTES.values()}


@ALL_PATIENCE
def test_a_run_ends_far_before_rabbitmq_loses_its_patience(patience: Patience) -> None:
    assert 0 < patience.time_limit_seconds <= RABBITMQ_CONSUMER_TIMEOUT_SECONDS / 10


@ALL_PATIENCE
def test_the_rings_of_patience_lie_inside_one_another(patience: Patience) -> None:
    assert 0 < patience.backoff_base_seconds <= patience.backoff_ceiling_seconds
    assert patience.backoff_ceiling_seconds <= 15 * 60
    assert patience.tries >= 2
    assert patience.tries * (patience.backoff_ceiling_seconds + patience.time_limit_seconds) <= patience.max_age_seconds


# kind -> tries, backoff base and ceiling in seconds, time limit of one run, greatest age, urgency at Stripe. Literal on
# purpose: whoever changes a preset of messages/patience.py sees here which messages it changes.
PATIENCE: dict[str, tuple[int, float, float, int, int, str]] = {
    "charge": (12, 1.0, 300.0, 90, 7 * 86_400, "normal"),
    "lookup": (8, 2.0, 300.0, 90, 2 * 86_400, "normal"),
    "refund": (12, 1.0, 300.0, 90, 30 * 86_400, "first"),
    "refund_lookup": (8, 2.0, 300.0, 90, 2 * 86_400, "first"),
    "capture": (12, 1.0, 300.0, 90, 7 * 86_400, "first"),
    "cancel": (12, 1.0, 300.0, 90, 30 * 86_400, "first"),
    "dispute_evidence": (12, 1.0, 300.0, 90, 2 * 86_400, "first"),
    "dispute_close": (12, 1.0, 300.0, 90, 2 * 86_400, "first"),
    "dispute_lookup": (8, 2.0, 300.0, 90, 2 * 86_400, "normal"),
    "cancel_event": (12, 1.0, 120.0, 120, 30 * 86_400, "normal"),
    "group": (12, 0.5, 120.0, 60, 200 * 86_400, "normal"),
    "cancel_group": (12, 0.5, 120.0, 60, 1 * 86_400, "normal"),
    "share": (12, 1.0, 120.0, 60, 7 * 86_400, "normal"),
    "transfer": (12, 1.0, 300.0, 90, 30 * 86_400, "normal"),
    "transfer_reversal": (12, 1.0, 300.0, 90, 30 * 86_400, "first"),
    "account_lookup": (8, 2.0, 300.0, 90, 2 * 86_400, "normal"),
    "escrow": (3, 2.0, 30.0, 120, 1 * 3_600, "last"),
    "statements": (6, 2.0, 120.0, 180, 6 * 3_600, "last"),
    "webhook": (12, 0.5, 300.0, 90, 30 * 86_400, "normal"),
    "classify": (20, 1.0, 60.0, 180, 1 * 86_400, "last"),
    "replay": (20, 1.0, 60.0, 180, 7 * 86_400, "normal"),
    "ops_refund": (12, 1.0, 60.0, 60, 1 * 86_400, "normal"),
    "mint": (12, 1.0, 300.0, 60, 30 * 86_400, "normal"),
    "mint_retry": (12, 1.0, 300.0, 60, 7 * 86_400, "normal"),
    "ops_escrow": (12, 1.0, 60.0, 60, 1 * 86_400, "normal"),
    "sweep": (3, 2.0, 30.0, 120, 1 * 3_600, "last"),
    "event_sweep": (6, 2.0, 120.0, 180, 1 * 3_600, "last"),
    "seal_ledger": (3, 2.0, 60.0, 120, 1 * 3_600, "last"),
    "reconcile": (6, 2.0, 120.0, 180, 6 * 3_600, "last"),
    "royalty_reconcile": (6, 2.0, 120.0, 180, 6 * 3_600, "last"),
    "payouts": (6, 2.0, 120.0, 180, 6 * 3_600, "last"),
    "connected_payouts": (6, 2.0, 120.0, 180, 6 * 3_600, "last"),
    "retention": (3, 2.0, 60.0, 180, 6 * 3_600, "last"),
}


@pytest.mark.parametrize("message", ROUTES, ids=[message.kind for message in ROUTES])
def test_the_presets_give_each_message_the_patience_it_should_have(message: type[Message]) -> None:
    urgency = urgency_of(message.model_construct())

    assert PATIENCE[message.kind] == (*astuple(ROUTES[message].patience), urgency)
