"""The collector's picture of the book: money that is not at its end, what a person must see, and the service level."""

import time
from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest

from db.dead_letters import dead_letters
from db.dead_letters.dead_letters import DeadLetter
from db.groups import stuck as group_stuck
from db.monitoring import gauges
from db.payments.payments import Payment
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stack.stack import Stack
from outbox.monitoring.gauges import parts
from outbox.monitoring.slo import levels
from stripe_client.gateway import Gateway
from tests import factories
from tests.conftest import Book
from tests.workers.groups.scenario import Party

Values = dict[tuple[str, ...], float]


def picture(db: Database) -> Values:
    """(metric, values of its labels) -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for part in parts(db, ledger_seconds=0)
        for metric in part()
        for sample in metric.samples
    }


def test_a_payment_that_stands_is_money_at_risk_and_one_that_succeeded_is_not(
    db: Database, tenant: Tenant, pay: Callable[..., Payment]
) -> None:
    pay()
    factories.requested(db, tenant, amount_minor=5000)
    factories.requested(db, tenant, amount_minor=1000)

    found = picture(db)

    assert found["fleet_money_at_risk_minor", "payment", "requested", "eur"] == 6000
    assert found["fleet_money_at_risk_items", "payment", "requested", "eur"] == 2
    assert not any("charging" in key or "succeeded" in key for key in found)


def test_a_hold_is_at_risk_when_it_ends_within_a_day(
    db: Database, owner: psycopg.Connection, pay: Callable[..., Payment]
) -> None:
    pay(capture="manual")
    assert not any("hold" in key for key in picture(db))

    owner.execute("UPDATE payments SET capture_before = clock_timestamp() + interval '23 hours'")

    assert picture(db)["fleet_money_at_risk_items", "hold", "authorized", "eur"] == 1


def test_the_ledger_sums_to_zero_and_an_entry_that_was_slipped_in_shows(
    db: Database, stack: Stack, book: Book, pay: Callable[..., Payment]
) -> None:
    pay()
    assert picture(db)["fleet_ledger_imbalance_minor", "eur"] == 0

    with psycopg.connect(stack.postgres.superuser_url(book.name), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")  # no trigger of ours would let it
        superuser.execute(
            "INSERT INTO ledger_entries SELECT tenant_id, journal_id, 99, account_id, 5, currency "
            "FROM ledger_entries LIMIT 1"
        )

    assert picture(db)["fleet_ledger_imbalance_minor", "eur"] == 5


def test_dead_letters_show_by_cause_and_actor_and_a_made_up_actor_is_no_label(db: Database) -> None:
    for kind in ("charge", "charge", "x" * 80, None):
        with db.system_transaction() as tx:
            letter = DeadLetter(
                source="worker",
                cause="gave_up",
                reason="no",
                payload="{}",
                original=uuid4().bytes,
                sealed=None,
                kind=kind,
            )
            dead_letters.bury(tx, letter)

    found = picture(db)

    assert found["fleet_dead_letters_open", "gave_up", "charge"] == 2
    assert found["fleet_dead_letters_open", "gave_up", "unknown"] == 2


def test_a_snapshot_that_somebody_holds_open_shows_with_its_age_whoever_it_is(
    db: Database, stack: Stack, book: Book
) -> None:
    with psycopg.connect(stack.postgres.superuser_url(book.name)) as superuser:
        superuser.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        superuser.execute("SELECT count(*) FROM payments")
        time.sleep(0.2)
        with db.system_transaction() as tx:
            assert 0.2 < gauges.oldest_snapshot(tx).seconds < 60
        superuser.rollback()
    with db.system_transaction() as tx:
        assert gauges.oldest_snapshot(tx).seconds < 0.2


def test_each_payment_is_judged_once_and_is_bad_without_an_answer_in_time(
    db: Database, tenant: Tenant, pay: Callable[..., Payment]
) -> None:
    payments, refunds = levels(db, payment_seconds=1.0, refund_seconds=1.0)
    payments()
    assert pay(payment_method_id="pm_card_visa_chargeDeclined").state == "failed"  # the bank has spoken: good
    pay()
    factories.requested(db, tenant)
    time.sleep(1.1)

    for _ in range(2):
        assert {sample.labels["result"]: sample.value for metric in payments() for sample in metric.samples} == {
            "good": 2,
            "bad": 1,
        }
    assert [sample.value for metric in refunds() for sample in metric.samples] == [0, 0]


def test_a_refusal_of_stripe_is_no_answer_of_the_bank(
    db: Database, owner: psycopg.Connection, pay: Callable[..., Payment]
) -> None:
    payments, _ = levels(db, payment_seconds=0.5, refund_seconds=1.0)
    payments()
    refused = pay(payment_method_id="pm_that_is_none")
    assert (refused.state, owner.execute("SELECT state_reason FROM payments").fetchone()) == (
        "failed",
        ("refused: resource_missing",),
    )
    time.sleep(0.6)

    assert [sample.value for metric in payments() for sample in metric.samples] == [0, 1]


@pytest.mark.parametrize(
    "name", ["fleet_cases_open", "fleet_outbox_rows", "fleet_dead_letters_oldest_seconds", "fleet_mints_waiting"]
)
def test_what_alarms_on_zero_shows_its_zero(db: Database, name: str) -> None:
    assert {value for key, value in picture(db).items() if key[0] == name} == {0}


def test_a_group_that_should_have_moved_stands_until_it_does(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outbox.monitoring.gauges.GROUP_PATIENCE_SECONDS", 0)
    party = Party.opened(db, owner, gateway, tenant, 1000, 1000)
    assert picture(db)["fleet_groups_standing",] == 0

    party.let_deadline_pass()
    with db.system_transaction() as tx:
        group_stuck.take(tx, older_than_seconds=0, limit=10)
    assert picture(db)["fleet_groups_standing",] == 1  # woken is not moved

    party.wake()
    assert picture(db)["fleet_groups_standing",] == 0
