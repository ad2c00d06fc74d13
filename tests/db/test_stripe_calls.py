"""Outside calls: written before they are sent, one live generation, one body, a look before a doubtful key (M13)."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest

from db import stripe_calls
from db.session import Database
from db.stripe_calls import KEY_LIFE_SECONDS, StripeCall
from db.tenants.tenants import Tenant

BODY = {"amount": 4200, "metadata": {"payment_id": "1"}}


def test_a_call_is_unknown_from_the_moment_it_may_have_been_sent(db: Database, tenant: Tenant) -> None:
    subject = uuid4()

    call = begin(db, tenant, subject)

    assert (call.outcome, call.sends, call.generation) == ("unknown", 1, 1)
    assert call.idempotency_key == f"payment_intent.create:{subject}:g1"
    assert not call.must_look_up


def test_a_second_begin_keeps_key_and_body_even_when_the_body_was_built_differently(
    db: Database, tenant: Tenant
) -> None:
    subject = uuid4()
    first = begin(db, tenant, subject, BODY)

    second = begin(db, tenant, subject, BODY | {"amount": 1})

    assert second.call_id == first.call_id
    assert second.idempotency_key == first.idempotency_key
    assert second.request == BODY
    assert second.sends == 2


def test_two_that_begin_at_once_get_the_same_call(db: Database, tenant: Tenant) -> None:
    subject = uuid4()

    with ThreadPoolExecutor(4) as pool:
        begun = [future.result() for future in [pool.submit(begin, db, tenant, subject) for _ in range(8)]]

    assert len({call.call_id for call in begun}) == 1
    assert sorted(call.sends for call in begun) == list(range(1, 9))


def test_a_second_live_generation_is_refused_by_the_database(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    begin(db, tenant, uuid4())

    with pytest.raises(psycopg.errors.UniqueViolation, match="calls_one_live_generation"):
        owner.execute(
            "INSERT INTO calls (tenant_id, operation, subject_id, generation, idempotency_key, request) "
            "SELECT tenant_id, operation, subject_id, 2, 'another key', request FROM calls"
        )


def test_a_proof_of_absence_opens_the_next_generation_with_a_new_key(db: Database, tenant: Tenant) -> None:
    subject = uuid4()
    first = begin(db, tenant, subject)
    with db.transaction(tenant.tenant_id) as tx:
        stripe_calls.prove_absent(tx, first, proof="none of 7 intents")

    second = begin(db, tenant, subject, BODY | {"amount": 1})

    assert second.generation == 2
    assert second.idempotency_key == f"payment_intent.create:{subject}:g2"
    assert second.request == BODY | {"amount": 1}
    assert not second.must_look_up


def test_a_key_that_stripe_may_have_forgotten_is_looked_up_and_not_counted_as_sent(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    subject = uuid4()
    begin(db, tenant, subject)
    owner.execute("UPDATE calls SET first_sent_at = first_sent_at - interval '23 hours'")

    call = begin(db, tenant, subject)

    assert call.age_seconds >= KEY_LIFE_SECONDS
    assert call.must_look_up
    assert call.sends == 1


def test_a_key_that_lives_is_sent_again(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    subject = uuid4()
    begin(db, tenant, subject)
    owner.execute("UPDATE calls SET first_sent_at = first_sent_at - interval '22 hours 59 minutes'")

    assert not begin(db, tenant, subject).must_look_up


def test_a_key_that_replays_a_failure_is_looked_up(db: Database, tenant: Tenant) -> None:
    subject = uuid4()
    first = begin(db, tenant, subject)
    with db.transaction(tenant.tenant_id) as tx:
        stripe_calls.require_lookup(tx, first, answer="Stripe failed: APIError 500")

    call = begin(db, tenant, subject)

    assert call.must_look_up
    assert (call.outcome, call.sends) == ("unknown", 1)


def test_an_answered_call_is_never_sent_again(db: Database, tenant: Tenant) -> None:
    subject = uuid4()
    settle(db, tenant, begin(db, tenant, subject), "Charged")

    call = begin(db, tenant, subject)

    assert call.must_look_up
    assert (call.outcome, call.sends) == ("answered", 1)


def test_the_first_answer_stays(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    subject = uuid4()
    call = begin(db, tenant, subject)
    settle(db, tenant, call, "Charged")

    settle(db, tenant, call, "Declined")
    with db.transaction(tenant.tenant_id) as tx:
        stripe_calls.settle_by_subject(
            tx, operation=call.operation, subject_id=subject, answer="Canceled", object_id="pi_2"
        )
        stripe_calls.prove_absent(tx, call, proof="none")

    assert owner.execute("SELECT outcome, answer, stripe_object_id FROM calls").fetchone() == (
        "answered",
        "Charged",
        "pi_1",
    )


def test_calls_of_different_subjects_do_not_meet(db: Database, tenant: Tenant) -> None:
    first, second = begin(db, tenant, uuid4()), begin(db, tenant, uuid4())

    assert first.idempotency_key != second.idempotency_key


def begin(db: Database, tenant: Tenant, subject: UUID, body: dict[str, object] | None = None) -> StripeCall:
    with db.transaction(tenant.tenant_id) as tx:
        return stripe_calls.begin(tx, operation="payment_intent.create", subject_id=subject, request=body or BODY)


def settle(db: Database, tenant: Tenant, call: StripeCall, answer: str) -> None:
    with db.transaction(tenant.tenant_id) as tx:
        stripe_calls.settle(tx, call, answer=answer, object_id="pi_1", request_id="req_1")
