"""The states of a payment: Python and the database hold the same table, and the database alone is enough (M7)."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db.dead_letters.states import DEAD_LETTER_MOVES, BatchState, DeadLetterState
from db.disputes.states import DISPUTE_MOVES, DisputeStatus
from db.groups.states import GROUP_MOVES, MEMBER_MOVES, GroupState, MemberState
from db.lifecycle import legal_moves
from db.minting.states import MINT_MOVES, NONCE_MOVES, MintState, NonceState
from db.operators.states import REQUEST_MOVES, RequestState
from db.payments import payments
from db.payments.payments import Payment, PaymentAttempt
from db.payments.states import PAYMENT_MOVES, PaymentState
from db.refunds.states import MASS_REFUND_MOVES, REFUND_MOVES, MassRefundState, RefundState
from db.session import Database, Tx
from db.shares.states import SHARE_MOVES, ShareState
from db.tenants.tenants import Tenant
from db.transfers.states import REVERSAL_MOVES, TRANSFER_MOVES, ReversalState, TransferState
from tests import factories

# Subject of legal_moves -> Python's table.
TABLES: dict[str, Mapping[Any, frozenset[Any]]] = {
    "payment": PAYMENT_MOVES,
    "refund": REFUND_MOVES,
    "event_cancellation": MASS_REFUND_MOVES,
    "dispute": DISPUTE_MOVES,
    "mint": MINT_MOVES,
    "slot": NONCE_MOVES,
    "group": GROUP_MOVES,
    "group_member": MEMBER_MOVES,
    "share": SHARE_MOVES,
    "transfer": TRANSFER_MOVES,
    "transfer_reversal": REVERSAL_MOVES,
    "dead_letter": DEAD_LETTER_MOVES,
    "operator_request": REQUEST_MOVES,
}
MOVE = """
    UPDATE payments
    SET state = %(state)s, state_by = 'test', platform_fee_minor = 0,
        payment_intent_id = coalesce(payment_intent_id, %(intent)s)
    WHERE payment_id = %(payment_id)s
"""
ILLEGAL = [
    (origin, target)
    for origin in PaymentState
    for target in PaymentState
    if target is not origin and target not in PAYMENT_MOVES[origin]
]


@pytest.mark.parametrize(("subject", "moves"), TABLES.items())
def test_a_table_of_moves_equals_the_rows_of_legal_moves(
    owner: psycopg.Connection, subject: str, moves: Mapping[StrEnum, frozenset[StrEnum]]
) -> None:
    rows = owner.execute("SELECT from_state, to_state FROM legal_moves WHERE subject = %s", [subject]).fetchall()

    states = type(next(iter(moves)))
    assert {(states(origin), states(target)) for origin, target in rows} == {
        (origin, target) for origin, targets in moves.items() for target in targets
    }


def test_no_table_of_moves_is_left_out(owner: psycopg.Connection) -> None:
    subjects = {row[0] for row in owner.execute("SELECT DISTINCT subject FROM legal_moves").fetchall()}

    assert subjects == TABLES.keys()


def test_a_table_with_a_word_that_is_no_state_or_without_a_state_is_refused() -> None:
    with pytest.raises(ValueError, match="'halted' is not a valid NonceState"):
        legal_moves(NonceState, open="halted", mined="", final="", reverted="", lost="")
    with pytest.raises(ValueError, match="no line for lost"):
        legal_moves(NonceState, open="mined", mined="", final="", reverted="")


@pytest.mark.parametrize("closed", [DisputeStatus.WON, DisputeStatus.WARNING_CLOSED, DisputeStatus.PREVENTED])
def test_nothing_leads_out_of_a_closed_dispute_but_a_late_win_of_a_lost_one(closed: DisputeStatus) -> None:
    assert DISPUTE_MOVES[closed] == frozenset()
    assert DisputeStatus.WON in DISPUTE_MOVES[DisputeStatus.LOST]
    assert DisputeStatus.NEEDS_RESPONSE not in DISPUTE_MOVES[DisputeStatus.LOST]


@pytest.mark.parametrize(
    ("table", "states"),
    [
        ("payments", PaymentState),
        ("refunds", RefundState),
        ("event_cancellations", MassRefundState),
        ("disputes", DisputeStatus),
        ("mints", MintState),
        ("slots", NonceState),
        ("groups", GroupState),
        ("group_members", MemberState),
        ("shares", ShareState),
        ("transfers", TransferState),
        ("transfer_reversals", ReversalState),
        ("dead_letters", DeadLetterState),
        ("replay_batches", BatchState),
        ("operator_requests", RequestState),
    ],
)
def test_the_states_equal_the_states_of_the_check(owner: psycopg.Connection, table: str, states: type[StrEnum]) -> None:
    checks = owner.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND conname = %s",
        [table, f"{table}_{'status' if table == 'disputes' else 'state'}_check"],
    ).fetchall()

    assert len(checks) == 1
    assert set(map(states, re.findall(r"'(\w+)'::text", checks[0][0]))) == set(states)


def test_every_illegal_move_is_refused_to_a_tenant_by_the_database_itself(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    standing = {origin: payment_in(origin, db, tenant) for origin in PaymentState}

    with db.transaction(tenant.tenant_id) as tx:
        made = [(origin, target) for origin, target in ILLEGAL if not refused(tx, standing[origin], target)]

    assert made == []
    assert len(ILLEGAL) == 31


def test_every_illegal_move_is_refused_to_the_owner_of_the_schema_too(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    standing = {origin: payment_in(origin, db, tenant) for origin in PaymentState}

    made = [(origin, target) for origin, target in ILLEGAL if not refused(owner, standing[origin], target)]

    assert made == []


def test_a_payment_cannot_be_born_in_another_state_than_requested(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    payment = factories.requested(db, tenant)

    with pytest.raises(psycopg.errors.RestrictViolation, match="starts as requested"):
        owner.execute(
            "INSERT INTO payments (tenant_id, payment_id, order_id, venue_id, buyer_id, amount_minor, currency, "
            "capture, payment_method_id, state, state_by, platform_fee_minor, payment_intent_id) "
            "SELECT tenant_id, uuidv7(), order_id, venue_id, buyer_id, amount_minor, currency, capture, "
            "payment_method_id, 'succeeded', 'test', 0, 'pi_born' FROM payments WHERE payment_id = %s",
            [payment.payment_id],
        )


@pytest.mark.parametrize("column", ["amount_minor = 1", "currency = 'usd'", "order_id = uuidv7()"])
def test_what_was_ordered_cannot_change(db: Database, owner: psycopg.Connection, tenant: Tenant, column: str) -> None:
    payment = factories.requested(db, tenant)

    with pytest.raises(psycopg.errors.RestrictViolation, match="what was ordered"):
        owner.execute(f"UPDATE payments SET {column} WHERE payment_id = %s", [payment.payment_id])


def test_a_payment_keeps_its_first_intent(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    payment = payment_in(PaymentState.PROCESSING, db, tenant)

    with pytest.raises(psycopg.errors.RestrictViolation, match="already has intent"):
        owner.execute("UPDATE payments SET payment_intent_id = 'pi_2' WHERE payment_id = %s", [payment.payment_id])


def test_one_order_has_one_payment(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    payment = factories.requested(db, tenant)

    with pytest.raises(psycopg.errors.UniqueViolation, match="order_id"):
        owner.execute(
            "INSERT INTO payments (tenant_id, order_id, venue_id, buyer_id, amount_minor, currency, capture, "
            "payment_method_id, state_by) SELECT tenant_id, order_id, venue_id, buyer_id, amount_minor, currency, "
            "capture, payment_method_id, 'test' FROM payments WHERE payment_id = %s",
            [payment.payment_id],
        )


def test_the_history_is_numbered_without_gaps_and_tells_every_move(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    payment = payment_in(PaymentState.REQUIRES_ACTION, db, tenant)

    with db.transaction(tenant.tenant_id) as tx:
        assert payments.mark_processing(tx, payment, intent_id=intent_of(payment), by="test")
        assert not payments.mark_processing(tx, payment, intent_id=intent_of(payment), by="test")
        said_no = {"reason": "the bank said no", "attempt": PaymentAttempt(None, "declined")}
        assert payments.mark_failed(tx, payment, intent_id=intent_of(payment), **said_no, by="test")

    rows = owner.execute("SELECT seq, from_state, to_state, reason FROM payment_history ORDER BY seq").fetchall()
    assert rows == [
        (1, None, "requested", None),
        (2, "requested", "charging", None),
        (3, "charging", "requires_action", None),
        (4, "requires_action", "processing", None),
        (5, "processing", "failed", "the bank said no"),
    ]


def test_a_number_of_the_history_cannot_be_chosen_by_hand(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    payment = factories.requested(db, tenant)

    owner.execute("UPDATE payments SET history_seq = 40 WHERE payment_id = %s", [payment.payment_id])

    assert owner.execute("SELECT history_seq FROM payments").fetchone() == (1,)


@pytest.mark.parametrize(
    "table",
    [
        *("payment_history", "payment_attempts", "message_failures", "dispute_history", "dispute_movements"),
        *("group_history", "group_member_history", "group_attempts", "mint_history"),
    ],
)
@pytest.mark.parametrize("change", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_what_happened_cannot_be_changed_not_even_by_the_owner(
    owner: psycopg.Connection, table: str, change: str
) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        owner.execute(change.format(table))


def payment_in(state: PaymentState, db: Database, tenant: Tenant) -> Payment:
    payment = factories.requested(db, tenant)
    way = {PaymentState.REQUESTED: [], PaymentState.CHARGING: [PaymentState.CHARGING]}
    with db.transaction(tenant.tenant_id) as tx:
        for step in way.get(state, [PaymentState.CHARGING, state]):
            tx.execute(MOVE, {"state": step.value, "payment_id": payment.payment_id, "intent": intent_of(payment)})
    return factories.reread(db, tenant.tenant_id, payment.payment_id)


def intent_of(payment: Payment) -> str:
    return payment.payment_intent_id or f"pi_{payment.payment_id.hex}"


def refused(tx: Tx | psycopg.Connection, payment: Payment, target: PaymentState) -> bool:
    """Whether a plain UPDATE to `target` is refused as illegal; nothing of it stays."""
    try:
        with tx.transaction():
            tx.execute(MOVE, {"state": target.value, "payment_id": payment.payment_id, "intent": f"pi_{uuid4().hex}"})
    except psycopg.errors.RestrictViolation as error:
        return "is not a legal move" in str(error)
    return False
