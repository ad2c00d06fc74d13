"""refund: it works, it works twice, the world says no, the world says nothing, someone else was first."""

import psycopg
import pytest

from db.refunds.states import RefundState
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.verdicts import TryAgain, TryLater
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.ledger.scenario import balances, events_told
from tests.workers.refunds.scenario import asked, charged, given_back, lookup, message, reread
from workers.refunds.look_up import refund_lookup
from workers.refunds.refund import refund


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


def test_a_full_refund_moves_the_money_and_brings_venue_and_platform_to_zero(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    wanted = asked(db, charged(db, gateway, tenant, amount_minor=4200))

    refund(message(wanted), db, gateway)

    assert reread(db, wanted).state is RefundState.SUCCEEDED
    assert given_back(stripe_control) == [4200]
    assert balances(owner) == {"stripe_balance": -152, "venue_payable": 0, "platform_fees": 0, "stripe_fees": 152}
    assert events_told(owner)[-1] == "refund.succeeded"


def test_a_second_delivery_gives_nothing_back_twice(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    wanted = asked(db, charged(db, gateway, tenant))
    refund(message(wanted), db, gateway)
    before = balances(owner)

    refund(message(wanted), db, gateway)

    assert balances(owner) == before
    assert len(given_back(stripe_control)) == 1


def test_parts_add_up_to_the_whole_fee_whatever_their_sizes(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4201)

    for minor in [1, 33, 1000, 1, 3166]:
        refund(message(asked(db, payment, minor)), db, gateway)

    assert balances(owner)["venue_payable"] == 0
    assert balances(owner)["platform_fees"] == 0


def test_a_venue_that_keeps_the_fee_gives_the_whole_amount_itself(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    owner.execute("UPDATE venues SET refund_fee_policy = 'kept'")
    payment = charged(db, gateway, tenant, amount_minor=4200)

    refund(message(asked(db, payment)), db, gateway)

    assert balances(owner)["platform_fees"] == -260
    assert balances(owner)["venue_payable"] == 260


def test_an_answer_that_is_lost_is_found_again_under_the_same_key(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    wanted = asked(db, charged(db, gateway, tenant))
    stripe_control.add_fault("drop_after", path="/v1/refunds", max_firings=1)

    with pytest.raises(TryAgain):
        refund(message(wanted), db, gateway)
    assert reread(db, wanted).state is RefundState.SENDING
    refund(message(wanted), db, gateway)

    assert reread(db, wanted).state is RefundState.SUCCEEDED
    assert len(given_back(stripe_control)) == 1


def test_past_the_life_of_its_key_a_refund_is_looked_up_and_never_sent_again(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    wanted = asked(db, charged(db, gateway, tenant, amount_minor=4200), 1000)
    stripe_control.add_fault("drop_after", path="/v1/refunds", max_firings=1)
    with pytest.raises(TryAgain):
        refund(message(wanted), db, gateway)
    owner.execute(
        "UPDATE calls SET first_sent_at = first_sent_at - interval '25 h', last_sent_at = last_sent_at - "
        "interval '25 h'"
    )
    stripe_control.advance_clock(25 * 3600)  # the key is forgotten: the same request would give back twice

    refund(message(wanted), db, gateway)

    assert reread(db, wanted).state is RefundState.SUCCEEDED
    assert given_back(stripe_control) == [1000]


def test_only_a_proof_of_absence_opens_a_new_key(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    wanted = asked(db, charged(db, gateway, tenant))
    stripe_control.add_fault("drop_before", path="/v1/refunds", max_firings=1)
    with pytest.raises(TryAgain):
        refund(message(wanted), db, gateway)

    owner.execute(
        "UPDATE calls SET first_sent_at = first_sent_at - interval '23.5 h', last_sent_at = last_sent_at - "
        "interval '23.5 h'"
    )
    with pytest.raises(TryLater):
        refund(message(wanted), db, gateway)
    owner.execute("UPDATE calls SET last_sent_at = last_sent_at - interval '1 h'")
    with pytest.raises(TryAgain, match="proved absent"):
        refund(message(wanted), db, gateway)
    refund(message(wanted), db, gateway)

    assert len(given_back(stripe_control)) == 1


def test_a_refund_that_the_bank_sends_back_reopens_the_obligation_and_the_next_one_pays_it(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200, payment_method_id="pm_card_refundFail")
    wanted = asked(db, payment)
    refund(message(wanted), db, gateway)
    assert reread(db, wanted).state is RefundState.SUCCEEDED
    stripe_control.advance_clock(40 * 86_400)

    refund_lookup(lookup(wanted), db, gateway)
    refund_lookup(lookup(wanted), db, gateway)

    assert reread(db, wanted).state is RefundState.FAILED
    assert balances(owner)["refunds_payable"] == -4200
    assert balances(owner)["venue_payable"] == 0
    assert events_told(owner)[-1] == "refund.failed"

    again = asked(db, payment)
    refund(message(again), db, gateway)

    assert balances(owner)["refunds_payable"] == 0
    assert balances(owner)["venue_payable"] == 0
    assert balances(owner)["platform_fees"] == 0


def test_a_pending_refund_succeeds_later(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    wanted = asked(db, charged(db, gateway, tenant, payment_method_id="pm_card_pendingRefund"))
    refund(message(wanted), db, gateway)
    assert reread(db, wanted).state is RefundState.PENDING
    stripe_control.advance_clock(40 * 86_400)

    refund_lookup(lookup(wanted), db, gateway)

    assert reread(db, wanted).state is RefundState.SUCCEEDED
    assert balances(owner)["venue_payable"] == 0


def test_what_stripe_refuses_frees_the_reservation_and_is_told(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant)
    gateway.v1.refunds.create(params={"payment_intent": payment.payment_intent_id})  # in the dashboard
    wanted = asked(db, payment, 1000)

    refund(message(wanted), db, gateway)

    assert reread(db, wanted).state is RefundState.REFUSED
    assert reread(db, wanted).state_reason == "charge_already_refunded"
    assert owner.execute("SELECT refunded_minor FROM charges").fetchone() == (0,)
    assert events_told(owner)[-1] == "refund.failed"
