"""Several that write the same thing at once: one writes it, the others find it, and no unique key is violated.

A race between two statements is microseconds wide and is run many times; one between two transactions is laid out.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier
from typing import TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest

from db import stripe_calls as calls
from db.groups import groups
from db.minting import series
from db.payouts import account_payouts, payouts
from db.session import Database, Tx
from db.stripe_calls import StripeCall
from db.tenants.tenants import Tenant
from db.transfers import connected_accounts
from messages.groups import GroupOpened
from messages.statement_lines import BankPayout
from messages.token_ids import series_of
from tests import factories
from tests.waiting import until

T = TypeVar("T")

ROUNDS, WRITERS = 100, 8
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(WRITERS) as pool:
        yield pool


def test_a_call_that_many_begin_is_one_call(db: Database, tenant: Tenant, crowd: ThreadPoolExecutor) -> None:
    def begin(subject: UUID) -> StripeCall:
        with db.transaction(tenant.tenant_id) as tx:
            return calls.begin(tx, operation="refund.create", subject_id=subject, request={})

    for _ in range(ROUNDS):
        begun = at_once(crowd, partial(begin, uuid4()))

        assert len({call.call_id for call in begun}) == 1
        assert sorted(call.sends for call in begun) == list(range(1, WRITERS + 1))


def test_a_call_that_is_proved_absent_while_another_begins_it_is_followed_by_the_next_generation(
    db: Database, owner: psycopg.Connection, tenant: Tenant, crowd: ThreadPoolExecutor
) -> None:
    def begin(tx: Tx) -> StripeCall:
        return calls.begin(tx, operation="refund.create", subject_id=subject, request={})

    subject = uuid4()
    with db.transaction(tenant.tenant_id) as tx:
        first = begin(tx)

    with db.transaction(tenant.tenant_id) as tx:
        calls.prove_absent(tx, first, proof="none of 7 refunds")
        second = begin_second(partial(db.transaction, tenant.tenant_id), owner, crowd, begin)

    assert (first.generation, second.result().generation) == (1, 2)


def test_a_group_that_many_open_is_opened_by_one(db: Database, tenant: Tenant, crowd: ThreadPoolExecutor) -> None:
    def open_it(group: GroupOpened) -> bool:
        with db.transaction(tenant.tenant_id) as tx:
            return groups.open_group(tx, group, told_by="test", fingerprint=b"f" * 32, by="test")

    for _ in range(ROUNDS):
        opened = at_once(crowd, partial(open_it, GroupOpened.model_validate(factories.group(tenant))))

        assert sorted(opened) == [False] * (WRITERS - 1) + [True]


def test_the_series_of_an_event_whose_tickets_are_sold_at_once_is_written_once(
    db: Database, owner: psycopg.Connection, tenant: Tenant, crowd: ThreadPoolExecutor
) -> None:
    def ensure(event_id: UUID) -> None:
        name, venue_id = series_of(tenant.tenant_id, event_id), tenant.venues[0].venue_id
        with db.transaction(tenant.tenant_id) as tx:
            series.ensure(tx, event_id=event_id, venue_id=venue_id, series=name)

    for _ in range(ROUNDS):
        at_once(crowd, partial(ensure, uuid4()))

    assert owner.execute("SELECT count(*) FROM series").fetchone() == (ROUNDS,)


def test_a_payout_that_webhook_and_list_tell_at_once_is_noted_once(
    db: Database, owner: psycopg.Connection, crowd: ThreadPoolExecutor
) -> None:
    def note(payout: BankPayout) -> None:
        with db.system_transaction() as tx:
            payouts.note(tx, [payout])

    for number in range(ROUNDS):
        at_once(crowd, partial(note, payout(f"po_{number}")))

    assert owner.execute("SELECT count(*) FROM payouts").fetchone() == (ROUNDS,)


def test_two_payouts_never_share_a_balance_transaction(db: Database) -> None:
    with db.system_transaction() as tx:
        payouts.note(tx, [payout("po_1")])

    with pytest.raises(AssertionError, match="po_2"), db.system_transaction() as tx:
        payouts.note(tx, [replace(payout("po_1"), payout_id="po_2")])


def test_an_account_that_becomes_active_while_its_first_look_is_written_has_become_better(
    db: Database, owner: psycopg.Connection, crowd: ThreadPoolExecutor
) -> None:
    def follow(tx: Tx, transfers: str, seen_at: datetime) -> bool:
        how = {"payouts_enabled": True, "disabled_reason": None}
        return connected_accounts.follow(tx, "acct_1", transfers=transfers, seen_at=seen_at, **how)

    with db.system_transaction() as tx:
        assert not follow(tx, "inactive", NOON)
        second = begin_second(
            db.system_transaction, owner, crowd, lambda tx: follow(tx, "active", NOON + timedelta(seconds=1))
        )

    assert second.result()


def test_a_payout_of_an_account_that_two_see_come_back_is_reported_by_one(
    db: Database, owner: psycopg.Connection, crowd: ThreadPoolExecutor
) -> None:
    came_back = replace(payout("po_1"), status="failed", failure_code="account_closed")

    def note(tx: Tx) -> list[str]:
        return account_payouts.note(tx, "acct_1", [came_back])

    with db.system_transaction() as tx:
        first = account_payouts.note(tx, "acct_1", [came_back])
        second = begin_second(
            db.system_transaction, owner, crowd, lambda tx: account_payouts.note(tx, "acct_1", [came_back])
        )

    assert (first, second.result()) == (["po_1"], [])


def at_once(crowd: ThreadPoolExecutor, work: Callable[[], T]) -> list[T]:
    """WRITERS times, all of them at the same moment; what each returned."""
    barrier = Barrier(WRITERS)

    def run() -> T:
        barrier.wait()
        return work()

    return [future.result() for future in [crowd.submit(run) for _ in range(WRITERS)]]


def begin_second(
    transaction: Callable[[], AbstractContextManager[Tx]],
    owner: psycopg.Connection,
    crowd: ThreadPoolExecutor,
    work: Callable[[Tx], T],
) -> Future[T]:
    """A second transaction, which has come to wait for what the caller's own has written."""

    def run() -> T:
        with transaction() as tx:
            return work(tx)

    begun = crowd.submit(run)
    until(lambda: owner.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None)
    return begun


def payout(payout_id: str) -> BankPayout:
    return BankPayout(
        payout_id=payout_id,
        amount_minor=900,
        currency="eur",
        automatic=True,
        status="paid",
        failure_code=None,
        balance_transaction_id=f"txn_{payout_id}",
        failure_balance_transaction_id=None,
        contents_ready=True,
        created_at=NOON,
        arrives_at=NOON + timedelta(days=1),
    )
