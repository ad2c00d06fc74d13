"""`fleet payment show`: everything that happened to a payment, in the order in which it happened."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db.operators import timeline
from db.operators.timeline import PARTS
from db.payments.payments import Payment
from db.session import Database
from db.webhooks import inbox
from db.webhooks.inbox import InboxEvent
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from outbox.ops.payments.timeline import _SENTENCES
from stripe_client.gateway import Gateway
from tests import factories
from tests.outbox.ops.conftest import Fleet, bury, fail
from tests.workers.ledger.scenario import events_told
from tests.workers.refunds.scenario import asked, message, wish_to_cancel
from tests.workers.shares.scenario import market
from workers.payments.cancel import cancel
from workers.payments.charge import charge, key_name
from workers.refunds.refund import refund


def charged(db: Database, owner: psycopg.Connection, gateway: Gateway) -> Payment:
    """A payment of 42.00 EUR that went all the way."""
    payment = factories.requested(db, factories.tenant(owner), amount_minor=4200)
    charge(ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), db, gateway)
    return factories.reread(db, payment.tenant_id, payment.payment_id)


def story(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(line["part"], line["what"]) for line in document["timeline"]]


def test_a_charge_is_told_from_intake_to_ledger(
    fleet: Fleet, db: Database, owner: psycopg.Connection, gateway: Gateway
) -> None:
    payment = charged(db, owner, gateway)

    document = fleet("payment", "show", payment.payment_id, "--json").json

    told = [line for line in story(document) if line[0] != "outbox"]
    assert told[:4] == [("intake", "received"), ("state", "requested"), ("state", "charging"), ("call", "sent")]
    for line in (("call", "answered"), ("state", "succeeded"), ("charge", "recorded"), ("ledger", "charge")):
        assert told.index(line) > 3
    assert [line["at"] for line in document["timeline"]] == sorted(line["at"] for line in document["timeline"])
    assert (document["state"], document["amount_minor"], document["platform_fee_minor"]) == ("succeeded", 4200, 260)


def test_the_legs_of_its_journals_and_the_key_of_its_call_are_shown(
    fleet: Fleet, db: Database, owner: psycopg.Connection, gateway: Gateway
) -> None:
    payment = charged(db, owner, gateway)

    shown = fleet("payment", "show", payment.payment_id).out

    lines = [" ".join(line.split()) for line in shown.splitlines()]
    for leg in ("Dr stripe_balance 42.00 EUR", "Cr venue_payable 39.40 EUR", "Cr platform_fees 2.60 EUR"):
        assert leg in lines
    for piece in ("42.00 EUR", "The Hall, A Promoter", f"payment_intent.create:{key_name(payment)}:g1"):
        assert piece in shown


def test_a_payment_is_found_by_each_of_its_names(
    fleet: Fleet, db: Database, owner: psycopg.Connection, gateway: Gateway
) -> None:
    payment = charged(db, owner, gateway)
    row = owner.execute("SELECT charge_id FROM charges").fetchone()
    assert row is not None

    for name in (payment.order_id, payment.payment_intent_id, row[0]):
        assert fleet("payment", "show", name, "--json").json["payment_id"] == str(payment.payment_id)
    unknown = fleet("payment", "show", "pi_nobody")
    assert (unknown.code, unknown.out) == (1, "")


def test_an_order_id_that_two_tenants_gave_asks_for_the_payment(
    fleet: Fleet, db: Database, owner: psycopg.Connection
) -> None:
    order_id = str(uuid4())
    payments = [factories.requested(db, factories.tenant(owner), order_id=order_id) for _ in range(2)]

    answer = fleet("payment", "show", order_id)

    assert answer.code == 1
    assert all(str(payment.payment_id) in answer.err for payment in payments)


def test_failures_letters_replays_and_operators_belong_to_the_story(
    fleet: Fleet, db: Database, owner: psycopg.Connection
) -> None:
    payment, message_id = factories.requested(db, factories.tenant(owner)), uuid4()
    fail(db, payment, message_id, 1, "Stripe answered 503")
    letter = bury(db, payment, message_id=str(message_id))
    other = bury(db)
    fleet("dlq", "preview", letter, "--reason", "Stripe is back", "--wait", 0)
    fleet("dlq", "discard", letter, "--reason", "paid at the door", "--yes")
    fleet("dlq", "discard", other, "--reason", "not of this payment", "--yes")

    document = fleet("payment", "show", payment.payment_id, "--json").json

    told = [line for line in story(document) if line[0] not in {"intake", "state", "outbox"}]
    assert told == [
        ("failure", "give_up"),
        ("dead letter", "died"),
        ("replay", "waiting"),
        ("operator", "preview"),
        ("dead letter", "discarded"),
        ("operator", "discard"),
    ]
    assert "not of this payment" not in str(document)


def test_webhooks_and_what_waits_in_the_outbox_belong_to_the_story(
    fleet: Fleet, db: Database, owner: psycopg.Connection
) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    event = InboxEvent(
        event_id="evt_1",
        tenant_id=payment.tenant_id,
        payment_id=payment.payment_id,
        event_type="payment_intent.succeeded",
        object_id="pi_1",
        account=None,
        api_version=None,
        livemode=False,
        payload={},
        state="pending",
        occurred_at=datetime.now(UTC),
    )
    with db.system_transaction() as tx:
        assert inbox.receive(tx, event)
        inbox.mark_applied(tx, "evt_1", note="the book knew already")

    document = fleet("payment", "show", payment.payment_id, "--json").json

    assert story(document)[-2:] == [("webhook", "received"), ("webhook", "applied")]
    assert ("outbox", "waiting") in story(document)
    assert "in the outbox for charges" in str(document)


def test_refunds_with_their_calls_wishes_and_what_the_order_service_heard_belong_to_the_story(
    fleet: Fleet, db: Database, owner: psycopg.Connection, gateway: Gateway
) -> None:
    payment = charged(db, owner, gateway)
    refund(message(asked(db, payment, 1000)), db, gateway)

    document = fleet("payment", "show", payment.payment_id, "--json").json
    shown = fleet("payment", "show", payment.payment_id).out

    told = [line for line in story(document) if line[0] in {"refund", "event"}]
    assert [what for part, what in told if part == "refund"] == ["requested", "sending", "succeeded"]
    assert [what for part, what in told if part == "event"] == events_told(owner)
    assert "refund.create answered: succeeded re_" in str(document)
    assert "refund of 10.00 EUR sending -> succeeded" in shown
    assert "refund.succeeded waiting to be published" in shown
    assert document["refunded_minor"] == 1000


@pytest.mark.parametrize(
    "order",
    [{"capture": "manual"}, {"payment_method_id": "pm_card_visa_chargeDeclined"}, {}],
    ids=["authorized", "declined", "succeeded-late"],
)
def test_what_the_timeline_says_was_told_is_what_was_told(
    fleet: Fleet, db: Database, owner: psycopg.Connection, gateway: Gateway, order: dict[str, str]
) -> None:
    payment = factories.requested(db, factories.tenant(owner), **order)
    late = order == {}
    if late:
        owner.execute("UPDATE payments SET state = 'charging', platform_fee_minor = 0, state_by = 'test'")
        wish_to_cancel(db, factories.reread(db, payment.tenant_id, payment.payment_id))
    charge(ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), db, gateway)
    if not late:
        cancel(wish_to_cancel(db, factories.reread(db, payment.tenant_id, payment.payment_id)), db, gateway)

    document = fleet("payment", "show", payment.payment_id, "--json").json

    assert [what for part, what in story(document) if part == "event"] == events_told(owner)
    assert ("wish", "cancel") in story(document)


def test_the_cancellation_of_its_event_belongs_to_the_story(
    fleet: Fleet, db: Database, owner: psycopg.Connection
) -> None:
    event_id = uuid4()
    payment = factories.requested(db, factories.tenant(owner), event_id=str(event_id))
    fleet("refunds", "cancel-event", event_id, "--reason", "storm", "--yes")

    document = fleet("payment", "show", payment.payment_id, "--json").json

    assert ("operator", "cancel event") in story(document)


def test_every_part_of_the_timeline_has_its_words() -> None:
    assert set(_SENTENCES) == set(PARTS)


def test_a_timeline_walks_no_large_table_from_end_to_end(db: Database, owner: psycopg.Connection) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    with db.ops_transaction() as tx:
        heading = timeline.find(tx, str(payment.payment_id))[0]
        tx.execute("SET LOCAL enable_seqscan = off")
        plan = timeline.explain(tx, heading)

    walked = {line.split("Seq Scan on ")[1].split()[0] for line in plan if "Seq Scan on " in line}
    assert walked <= {"operator_log", "replay_items", "replay_batches"}  # as many rows as operators made


def test_shares_their_transfers_and_what_came_back_of_them_are_told_in_order(
    fleet: Fleet, db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl
) -> None:
    place = market(db, owner, gateway, stripe_control)
    payment = place.sell(amount_minor=10_000)
    place.work()
    stripe_control.advance_clock(8 * 86_400)
    stripe_control.adjust_balance(-400, "eur", place.artist_account)
    place.give_back(payment)

    document = fleet("payment", "show", payment.payment_id, "--json").json
    shown = fleet("payment", "show", payment.payment_id).out

    of_artist = [
        (line["part"], line["what"]) for line in document["timeline"] if line["detail"].get("party") == "artist"
    ]
    assert of_artist == [
        ("share", "released"),
        *[("transfer", state) for state in ("requested", "sending", "paid")],
        ("share", "settled"),
        ("return", "taken back"),
        ("share", "released"),
        *[("reversal", state) for state in ("requested", "sending", "short")],
        ("receivable", "owed"),
        *[("reversal", state) for state in ("requested", "sending", "reversed")],
        ("share", "settled"),
    ]
    for piece in (
        "share of artist The Band: 10.00 EUR, 1000 basis points, released",
        "transfer of 10.00 EUR to artist The Band sending -> paid",
        "artist The Band owes 4.00 EUR",
        "reversal of 6.00 EUR from artist The Band sending -> reversed",
        "transfer.create answered: paid tr_",
        "transfer.reverse answered: balance_insufficient",
    ):
        assert piece in shown
