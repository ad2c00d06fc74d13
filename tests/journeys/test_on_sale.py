"""A small on-sale with everything mixed: groups, declines, 3DS, duplicates, poison. The book, the bank, the order
service and the logs must tell the same story, and the logs nothing more.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from deploy.local.scenario import orders
from messages.queues import EVENTS_EXCHANGE, kind_to_message
from tests.journeys.fleet import Fleet, payload_of, poison
from tests.journeys.fresh import Fleets
from tests.journeys.truth import assert_clean, assert_told_in_order
from tests.workers.reconciliation.scenario import at_once

ORDERS = 150
IDS = ("message_id", "payment_id", "tenant_id", "actor", "attempt", "trace_id")
# What somebody might put where it does not belong; none of it may be readable in any log or row.
CARD_NUMBER, EMAIL, KEY, CLIENT_SECRET = (
    "4242 4242 4242 4242",
    "ada.buyer@example.org",
    "sk_test_neverlogme123456",
    "pi_3MtwBwLkdIwHu7ix28a3tqPa_secret_YrKJUKribcBjcG8HVhfZluoGH",
)
SECRETS = {
    "a card number": r"4242[ -]?4242[ -]?4242[ -]?4242",
    "an e-mail address": r"@example\.org",
    "an API key": r"sk_test_\w+",
    "a signing secret": r"whsec_\w+",
    "a signature": r"v1=[0-9a-f]{16,}",
    "a client secret": r"_secret_\w+",
    "a password": r"://fleet\w*:[^@*]+@",
}


@pytest.fixture(scope="module")
def fleet(fleets: Fleets) -> Fleet:
    """One for the whole file: its tests look at one sale, and what one finds wrong spoils nothing for the next."""
    return fleets.running()


@pytest.fixture(scope="module")
def sold(fleet: Fleet) -> Fleet:
    """The fleet after a sale of 150 orders from a seed, with poison that carries what must never be seen."""
    story = list(orders.publications(orders=ORDERS, seed=7, run="journeys"))
    unreadable = f"{CARD_NUMBER} {EMAIL} {KEY} {CLIENT_SECRET}".encode()
    misplaced = fleet.order(idempotency_key="x", buyer_id=f"{EMAIL} {CARD_NUMBER}").body
    fleet.publish(*story[:80], poison(unreadable), poison(misplaced), *story[80:])
    fleet.publish(fleet.order(device={"ip": "203.0.113.9", "user_agent": f"{KEY} {CARD_NUMBER} {EMAIL}"}))
    fleet.wait_until_quiet()
    return fleet


def test_the_bank_the_book_and_the_order_service_agree_after_a_sale(sold: Fleet) -> None:
    assert_clean(sold)
    (count,) = sold.rows("SELECT count(*) AS payments, count(DISTINCT order_id) AS orders FROM payments")
    assert count == {"payments": ORDERS + 1, "orders": ORDERS + 1}


def test_each_movement_at_the_bank_has_its_journal_after_a_sale(sold: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)

    assert sold.reconcile() == []

    (charges,) = sold.rows("SELECT count(*) FROM charges")
    assert sold.rows("SELECT count(*) FROM bank_lines") == [charges]
    assert sold.rows("SELECT count(*) FROM ledger_journals WHERE kind = 'charge'") == [charges]


def test_every_payment_tells_its_facts_once_and_in_the_order_of_its_history(sold: Fleet) -> None:
    assert_told_in_order(sold)


@pytest.mark.parametrize("name", SECRETS)
def test_no_log_line_holds(sold: Fleet, name: str) -> None:
    found = [line for line in sold.log_lines() if re.search(SECRETS[name], line)]
    assert found == []


@pytest.mark.parametrize("name", SECRETS)
def test_no_row_of_the_book_holds(sold: Fleet, name: str) -> None:
    kept = sold.rows(
        """
        SELECT payload AS text FROM dead_letters
        UNION ALL SELECT reason FROM dead_letters
        UNION ALL SELECT payload::text FROM webhook_inbox
        UNION ALL SELECT request::text FROM calls
        UNION ALL SELECT order_data::text FROM orders
        UNION ALL SELECT convert_from(body, 'UTF8') FROM outbox
        UNION ALL SELECT reason FROM message_failures
        """
    )
    found = [row["text"] for row in kept if re.search(SECRETS[name], row["text"])]
    assert found == []


def test_every_log_line_is_json_and_each_line_of_a_message_says_whose_it_is(sold: Fleet) -> None:
    lines = list(sold.log_lines())
    parsed = [payload_of(line) for line in lines]
    assert [line for line, fields in zip(lines, parsed, strict=True) if fields is None] == []
    of_messages = [fields for fields in parsed if fields and fields["logger"].startswith("workers.")]
    kinds = kind_to_message().items()
    of_the_platform = {kind for kind, message in kinds if not message.model_fields["tenant_id"].is_required()}
    about_payments = [fields for fields in of_messages if fields["actor"] not in of_the_platform]
    assert len(about_payments) >= ORDERS // 2
    assert [fields for fields in about_payments if not all(fields.get(name) for name in IDS)] == []


def test_one_trace_leads_from_the_order_to_what_the_order_service_hears(fleet: Fleet) -> None:
    trace_id = "5f3c9ad2b1e84c7799aa00112233cafe"
    order = fleet.order(trace_id=trace_id)

    with spectator(fleet) as channel:
        fleet.publish(order)
        heard = next_event(channel)

    assert heard["type"] == "payment.succeeded"
    assert heard["traceparent"].split("-")[1] == trace_id
    fleet.wait_until_quiet()
    charged = [fields for line in fleet.log_lines() if trace_id in line and (fields := payload_of(line))]
    assert "charge" in {fields["actor"] for fields in charged}


@contextmanager
def spectator(fleet: Fleet) -> Iterator[BlockingChannel]:
    """A second listener on the fleet's facts, with a queue of its own named after nobody."""
    connection = pika.BlockingConnection(pika.URLParameters(fleet.stack.rabbitmq.url))
    channel = connection.channel()
    channel.queue_declare("spectator", exclusive=True, auto_delete=True)
    channel.queue_bind("spectator", EVENTS_EXCHANGE, "payment.*")
    yield channel
    connection.close()


def next_event(channel: BlockingChannel) -> dict[str, str]:
    method, _, body = next(channel.consume("spectator", auto_ack=True, inactivity_timeout=20))
    assert method is not None, "nothing was told within 20 seconds"
    event: dict[str, str] = json.loads(body or b"")
    return event
