"""Patience is written in one table, and the table is complete."""

import importlib
import pkgutil

import pytest

import messages
from messages.base import Fact, Message
from messages.queues import ORDERS_QUEUE, PUBLIC_EVENTS, ROUTES, Route, kind_to_message

RABBITMQ_CONSUMER_TIMEOUT_SECONDS = 30 * 60

for found in pkgutil.iter_modules(messages.__path__):
    importlib.import_module(f"messages.{found.name}")

ALL_ROUTES = pytest.mark.parametrize("route", ROUTES.values(), ids=[message.kind for message in ROUTES])


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


@ALL_ROUTES
def test_a_run_ends_far_before_rabbitmq_loses_its_patience(route: Route) -> None:
    assert 0 < route.time_limit_seconds <= RABBITMQ_CONSUMER_TIMEOUT_SECONDS / 10


@ALL_ROUTES
def test_the_rings_of_patience_lie_inside_one_another(route: Route) -> None:
    assert 0 < route.backoff_base_seconds <= route.backoff_ceiling_seconds
    assert route.backoff_ceiling_seconds <= 15 * 60
    assert route.tries >= 2
    assert route.tries * (route.backoff_ceiling_seconds + route.time_limit_seconds) <= route.max_age_seconds
