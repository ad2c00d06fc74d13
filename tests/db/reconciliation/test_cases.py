"""Cases: one open case a thing, closed once, and never again for what a person has accepted."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from db.reconciliation import case_views, cases
from db.reconciliation.cases import SUGGESTED, Case, CaseType
from db.session import Database
from db.tenants.tenants import Tenant
from messages.money import Money
from tests import factories


def test_a_case_is_opened_once_however_often_and_by_however_many_it_is_found(db: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = [future.result() for future in [pool.submit(find_missing, db) for _ in range(8)]]

    assert sorted(opened) == [False] * 7 + [True]
    (case,) = every(db)
    assert (case.type, case.subject, case.amount_minor, case.times_seen) == ("missing_in_book", "txn_1", 4200, 8)
    assert case.suggested_action == SUGGESTED[CaseType.MISSING_IN_BOOK]


def test_a_later_look_renews_what_is_known(db: Database) -> None:
    find_missing(db)

    with db.system_transaction() as tx:
        cases.open_case(tx, type=CaseType.MISSING_IN_BOOK, subject="txn_1", details="more", amount=Money(4300, "eur"))

    (case,) = every(db)
    assert (case.amount_minor, case.details) == (4300, "more")


def test_a_case_that_closed_by_itself_may_be_opened_anew(db: Database) -> None:
    find_missing(db)

    with db.system_transaction() as tx:
        first = cases.close_case(tx, type=CaseType.MISSING_IN_BOOK, subject="txn_1", by="a test", because="it is there")
        second = cases.close_case(tx, type=CaseType.MISSING_IN_BOOK, subject="txn_1", by="a test", because="again")

    assert (first, second) == (True, False)
    assert find_missing(db)


def test_what_a_person_accepted_is_not_opened_again_until_its_amount_changes(db: Database) -> None:
    find_missing(db)
    with db.ops_transaction() as tx:
        closed = cases.accept_case(tx, every(db)[0].case_id, operator="ada", reason="a test charge of ours")

    assert closed is not None
    assert closed.accepted
    assert not find_missing(db)
    assert find_missing(db, Money(1, "eur"))


def test_a_tenant_opens_and_sees_its_own_cases_only(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    neighbour = factories.tenant(owner)
    for each in (tenant, neighbour):
        with db.transaction(each.tenant_id) as tx:
            assert cases.open_case(
                tx, type=CaseType.REFUND_FAILED, subject=str(each.tenant_id), details="no", tenant_id=each.tenant_id
            )

    with db.transaction(tenant.tenant_id) as tx:
        assert [case.tenant_id for case in case_views.find(tx)] == [tenant.tenant_id]
        assert not cases.close_case(
            tx, type=CaseType.REFUND_FAILED, subject=str(neighbour.tenant_id), by="x", because="y"
        )
    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction(tenant.tenant_id) as tx:
        cases.open_case(tx, type=CaseType.REFUND_STUCK, subject="re_1", details="no", tenant_id=neighbour.tenant_id)


def test_a_closed_case_is_never_changed_and_no_case_is_ever_deleted(db: Database, owner: psycopg.Connection) -> None:
    find_missing(db)
    with db.system_transaction() as tx:
        cases.close_case(tx, type=CaseType.MISSING_IN_BOOK, subject="txn_1", by="a test", because="it is there")

    with pytest.raises(psycopg.errors.RestrictViolation, match="is closed"):
        owner.execute("UPDATE reconciliation_cases SET details = 'other'")
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        owner.execute("DELETE FROM reconciliation_cases")


def test_the_automatic_look_is_taken_once_and_only_after_its_age(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    payment = factories.requested(db, tenant)
    for subject, age in (("txn_now", 0.0), ("txn_later", 600.0), ("txn_never", None)):
        with db.system_transaction() as tx:
            cases.open_case(
                tx,
                type=CaseType.MISSING_IN_BOOK,
                subject=subject,
                details="no",
                tenant_id=payment.tenant_id,
                payment_id=payment.payment_id,
                auto_fix_after_seconds=age,
            )

    taken = []
    for _ in range(2):
        with db.system_transaction() as tx:
            taken += cases.take_fixable(tx, types=[CaseType.MISSING_IN_BOOK], limit=10)

    assert [fixable.subject for fixable in taken] == ["txn_now"]


def test_every_type_of_python_is_one_of_the_database_and_has_a_suggestion(db: Database) -> None:
    for type_ in CaseType:
        with db.system_transaction() as tx:
            assert cases.open_case(tx, type=type_, subject="x_1", details="no")

    with db.system_transaction() as tx:
        assert [count.type for count in case_views.open_counts(tx)] == sorted(CaseType)
    assert set(SUGGESTED) == set(CaseType)


def find_missing(db: Database, amount: Money | None = None) -> bool:
    with db.system_transaction() as tx:
        return cases.open_case(
            tx,
            type=CaseType.MISSING_IN_BOOK,
            subject="txn_1",
            details="a charge nobody booked",
            amount=amount or Money(4200, "eur"),
        )


def every(db: Database) -> list[Case]:
    with db.ops_transaction() as tx:
        return case_views.find(tx, state=None)
