"""ops_refund, ops_escrow: what an operator requested is carried out once, and its answer stands beside it."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest

from db.operators import requests
from db.operators.requests import NewOperatorRequest, OperatorRequest
from db.payments.payments import Payment
from db.session import Database
from db.shares.states import ShareState
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.refunds import OpsRefundDue
from messages.shares import OpsEscrowDue
from messages.verdicts import GiveUp, TryAgain
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.refunds.scenario import charged, of_payment
from tests.workers.shares.scenario import Market, market
from workers.operators.carry_out import ops_escrow, ops_refund


@pytest.fixture
def paid(db: Database, gateway: Gateway, tenant: Tenant) -> Payment:
    return charged(db, gateway, tenant)


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    """A venue that holds its shares; nobody has said when the event ends."""
    made = market(db, owner, gateway, stripe_control)
    owner.execute("UPDATE venues SET escrow_days = 3")
    return made


def asked(
    db: Database, payment: Payment, kind: str, minor: int | None, *, awaits_approval: bool = False
) -> OperatorRequest:
    reason = "duplicate" if kind == "refund" else None
    whose = (payment.tenant_id, kind, payment.payment_id, minor, payment.currency)
    with db.ops_transaction() as tx:
        new = NewOperatorRequest(*whose, note="the artist asked", by="ada", reason=reason)
        return requests.ask(tx, new, awaits_approval=awaits_approval)


def deliver(db: Database, request: OperatorRequest) -> OperatorRequest:
    """The message of this kind of request, as an operator's process queues it; returns the request afterwards."""
    of_payment = {"tenant_id": request.tenant_id, "payment_id": request.payment_id}
    if request.kind == "refund":
        ops_refund(OpsRefundDue(**of_payment, request_id=request.request_id), db)
    else:
        ops_escrow(OpsEscrowDue(**of_payment, wish_id=request.request_id), db)
    return reread(db, request.request_id)


def reread(db: Database, request_id: UUID) -> OperatorRequest:
    with db.ops_transaction() as tx:
        request = requests.get(tx, request_id)
    assert request is not None
    return request


def test_a_refund_that_was_requested_becomes_one_refund_however_often_it_is_delivered(
    db: Database, paid: Payment
) -> None:
    request = asked(db, paid, "refund", 1000)

    first = deliver(db, request)
    second = deliver(db, request)

    (refund,) = of_payment(db, paid)
    assert first == second
    assert (first.state, first.refund_id) == ("granted", refund.refund_id)
    assert (refund.amount.minor, refund.source, refund.note) == (1000, "ops", "the artist asked")


def test_ten_copies_at_once_are_one_refund(db: Database, paid: Payment) -> None:
    request = asked(db, paid, "refund", 1000)

    with ThreadPoolExecutor(10) as pool:
        states = {answer.state for answer in pool.map(lambda _: deliver(db, request), range(10))}

    assert states == {"granted"}
    assert len(of_payment(db, paid)) == 1


def test_a_refund_that_cannot_be_is_refused_with_its_code_and_nothing_is_given_back(
    db: Database, paid: Payment
) -> None:
    answered = deliver(db, asked(db, paid, "refund", 4201))

    assert answered.state == "refused"
    assert answered.state_reason is not None
    assert answered.state_reason.startswith("amount_exceeds_captured: ")
    assert of_payment(db, paid) == []


def test_a_payment_whose_money_was_not_taken_is_cancelled_instead(
    db: Database, tenant: Tenant, owner: psycopg.Connection
) -> None:
    payment = factories.requested(db, tenant)

    answered = deliver(db, asked(db, payment, "refund", None))

    assert (answered.state, answered.refund_id) == ("granted", None)
    assert answered.state_reason == "nothing was taken yet: the payment is cancelled instead"
    assert owner.execute("SELECT cancel_requested_by FROM payments").fetchone() == ("ada",)


def test_a_release_lets_the_shares_go_once(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)
    request = asked(place.db, payment, "release", 10_000)

    first, second = (deliver(place.db, request) for _ in range(2))
    late = deliver(place.db, asked(place.db, payment, "release", 10_000))

    assert first == second
    assert (first.state, first.state_reason) == ("granted", None)
    assert place.states(payment) == {ShareState.RELEASED}
    assert (late.state, late.state_reason) == ("refused", "its shares have left escrow already")


def test_a_release_of_less_than_is_in_escrow_now_is_refused(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)

    answered = deliver(place.db, asked(place.db, payment, "release", 1))

    assert (answered.state, answered.state_reason) == (
        "refused",
        "more is in escrow now than was decided about; ask again",
    )
    assert place.states(payment) == {ShareState.HELD}


def test_a_hold_keeps_the_shares_in_escrow_and_says_who_and_why(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)

    answered = deliver(place.db, asked(place.db, payment, "hold", 10_000))

    assert answered.state == "granted"
    assert place.owner.execute("SELECT held_by, held_because FROM distributions").fetchone() == (
        "ada",
        "the artist asked",
    )


def test_a_request_waits_while_somebody_else_is_at_the_escrow(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)
    request = asked(place.db, payment, "release", 10_000)

    with place.db.transaction(payment.tenant_id) as tx:
        tx.execute("SELECT FROM distributions WHERE payment_id = %s FOR UPDATE", [payment.payment_id])
        with pytest.raises(TryAgain):
            deliver(place.db, request)

    assert reread(place.db, request.request_id).state == "asked"
    assert deliver(place.db, request).state == "granted"


def test_what_waits_for_a_second_operator_is_not_carried_out(db: Database, paid: Payment) -> None:
    request = asked(db, paid, "refund", 1000, awaits_approval=True)

    assert deliver(db, request).state == "awaiting_approval"
    assert of_payment(db, paid) == []


def test_a_request_that_is_nobodys_is_given_up(db: Database, paid: Payment) -> None:
    of_payment = {"tenant_id": paid.tenant_id, "payment_id": paid.payment_id}

    with pytest.raises(GiveUp, match="no operator request"):
        ops_refund(OpsRefundDue(**of_payment, request_id=uuid4()), db)
    with pytest.raises(GiveUp, match="no operator request"):
        ops_escrow(OpsEscrowDue(**of_payment, wish_id=uuid4()), db)
