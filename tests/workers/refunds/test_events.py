"""Events about refunds: whoever made them, in whatever order and number they come, the book ends as Stripe has it."""

from random import Random

import psycopg
import pytest

from db.refunds.states import RefundState
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.verdicts import TryLater
from stripe_client.gateway import Gateway
from tests.workers.ledger.scenario import balances, events_told
from tests.workers.refunds.scenario import asked, charged, given_back, message, of_payment, reread
from tests.workers.webhooks.scenario import drain, events_of
from workers.refunds.refund import refund


def test_a_refund_made_in_the_dashboard_is_booked_once_and_told_once(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    gateway.v1.refunds.create(params={"payment_intent": payment.payment_intent_id, "amount": 1000})

    drain(db, gateway, events_of(gateway) * 3)

    [found] = of_payment(db, payment)
    assert (found.source, found.amount_minor, found.state) == ("outside", 1000, RefundState.SUCCEEDED)
    assert balances(owner)["stripe_balance"] == 4200 - 152 - 1000
    assert owner.execute("SELECT refunded_minor FROM charges").fetchone() == (1000,)
    assert events_told(owner).count("refund.succeeded") == 1


def test_a_refund_whose_answer_was_lost_is_settled_by_its_event(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    wanted = asked(db, charged(db, gateway, tenant))
    stripe_control.add_fault("drop_after", path="/v1/refunds", max_firings=1)
    with pytest.raises(Exception, match="no answer"):
        refund(message(wanted), db, gateway)

    drain(db, gateway, events_of(gateway))
    refund(message(wanted), db, gateway)

    assert reread(db, wanted).state is RefundState.SUCCEEDED
    assert len(given_back(stripe_control)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_every_order_of_events_ends_with_the_refund_that_came_back(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    tenant: Tenant,
    seed: int,
) -> None:
    payment = charged(db, gateway, tenant, payment_method_id="pm_card_refundFail")
    wanted = asked(db, payment)
    refund(message(wanted), db, gateway)
    stripe_control.advance_clock(40 * 86_400)
    shuffled = events_of(gateway) * 2
    Random(seed).shuffle(shuffled)  # noqa: S311  an order of events, not a secret

    drain(db, gateway, shuffled)

    assert reread(db, wanted).state is RefundState.FAILED
    assert balances(owner)["refunds_payable"] == -4200
    assert balances(owner)["stripe_balance"] == 4200 - 152
    assert [kind for kind in events_told(owner) if kind.startswith("refund.")] == ["refund.succeeded", "refund.failed"]


def test_a_dashboard_refund_waits_for_the_request_of_ours_that_holds_its_amount(
    db: Database, gateway: Gateway, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    wanted = asked(db, payment)  # holds everything, and was not sent yet
    gateway.v1.refunds.create(params={"payment_intent": payment.payment_intent_id, "amount": 1000})

    with pytest.raises(TryLater, match="holds its amount") as waits:
        drain(db, gateway, events_of(gateway))
    assert waits.value.seconds < 10  # ours is nearly always refused within a moment
    refund(message(wanted), db, gateway)  # Stripe refuses it: less is left
    drain(db, gateway, events_of(gateway))

    assert reread(db, wanted).state is RefundState.REFUSED
    assert sorted(found.state for found in of_payment(db, payment)) == ["refused", "succeeded"]
