"""Disputes that do not fit the book at first: older answers, unknown words, other currencies, refunds beside them."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from db.disputes import disputes
from db.disputes.states import DisputeStatus
from db.refunds.states import RefundState
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.money import Money
from messages.verdicts import GiveUp, TryAgain
from outbox.requests.refusals import RefusedError
from stripe_client import disputes as stripe_disputes
from stripe_client.gateway import Gateway
from stripe_client.outcomes import BalanceTransaction, DisputeMovement
from tests.workers.disputes.scenario import hear, look, reread
from tests.workers.ledger.scenario import balances
from tests.workers.refunds.scenario import asked, charged, message
from tests.workers.refunds.scenario import reread as refund_now
from workers.disputes.settlement import settle_dispute
from workers.refunds.refund import refund

# What 42.00 leaves behind: 2.60 for the platform (5 % + 0.50), 1.52 for Stripe; a chargeback costs 15.00.
CHARGED = {"stripe_balance": 4048, "venue_payable": -3940, "platform_fees": -260, "stripe_fees": 152}
WON = CHARGED | {"stripe_balance": 4048 - 1500, "disputed_funds": 0, "dispute_fees": 1500}


def test_an_answer_from_before_never_overwrites_a_newer_one(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]
    hear(db, gateway)
    truly_retrieve, asked_stripe = stripe_disputes.retrieve, []

    def slowly(gateway: Gateway, wanted: str) -> Any:
        """While the first answer is on its way, the bank decides, and an event brings that to the book."""
        answer = truly_retrieve(gateway, wanted)
        asked_stripe.append(answer.status)
        if len(asked_stripe) == 1:
            stripe_control.decide_dispute(dispute_id, "won")
            monkeypatch.setattr(stripe_disputes, "retrieve", truly_retrieve)
            hear(db, gateway)
            monkeypatch.setattr(stripe_disputes, "retrieve", slowly)
        return answer

    monkeypatch.setattr(stripe_disputes, "retrieve", slowly)
    found = look(db, gateway, payment, dispute_id)

    assert asked_stripe == ["needs_response", "won"]
    assert found.status is DisputeStatus.WON
    assert balances(owner) == WON


def test_a_charge_that_the_book_does_not_hold_yet_is_settled_first(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, payment_method_id="pm_card_threeDSecure2Required")
    stripe_control.complete_authentication(payment.payment_intent_id or "")
    stripe_control.dispute(payment.payment_intent_id or "")

    with pytest.raises(TryAgain, match="not recorded as captured"):
        hear(db, gateway)


def test_what_stripe_says_that_we_cannot_read_is_left_to_a_person(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]
    raw = gateway.v1.disputes.retrieve(dispute_id, {"expand": ["charge"]}).to_dict(for_json=True)

    with pytest.raises(GiveUp, match="dreaming, which we cannot read"):
        stripe_disputes.answer_of(raw | {"status": "dreaming"})


def test_a_closed_dispute_that_stripe_shows_open_again_is_left_to_a_person(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]
    opened = stripe_disputes.retrieve(gateway, dispute_id)
    stripe_control.decide_dispute(dispute_id, "won")
    hear(db, gateway)

    with pytest.raises(GiveUp, match="which cannot become that"), db.transaction(tenant.tenant_id) as tx:
        settle_dispute(tx, payment, disputes.get(tx, opened.dispute_id), opened, by="test")

    assert reread(db, payment, dispute_id).status is DisputeStatus.WON


@pytest.mark.parametrize("status", ["needs_response", "lost"])
def test_a_payment_that_is_charged_back_is_not_refunded_until_it_is_won(
    db: Database,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    tenant: Tenant,
    status: str,
) -> None:
    payment = charged(db, gateway, tenant)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "", amount=1000)["id"]
    if status == "lost":
        stripe_control.decide_dispute(dispute_id, "lost")
    hear(db, gateway)

    with pytest.raises(RefusedError) as refusal:
        asked(db, payment)
    assert refusal.value.code == "charge_disputed"

    stripe_control.decide_dispute(dispute_id, "won")
    hear(db, gateway)
    wanted = asked(db, payment)
    refund(message(wanted), db, gateway)

    assert refund_now(db, wanted).state is RefundState.SUCCEEDED


def test_a_dispute_of_money_that_settled_in_another_currency_is_booked_with_its_conversion(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]
    taken = BalanceTransaction("txn_taken", Money(-4600, "usd"), Money(1600, "usd"))
    back = BalanceTransaction("txn_back", Money(4550, "usd"), Money(0, "usd"))
    opened = replace(stripe_disputes.retrieve(gateway, dispute_id), movements=(DisputeMovement("dispute", taken),))
    won = replace(opened, status="won", movements=(*opened.movements, DisputeMovement("dispute_reversal", back)))

    for answer in (opened, won, won):
        with db.transaction(tenant.tenant_id) as tx:
            settle_dispute(tx, payment, disputes.get(tx, answer.dispute_id), answer, by="test")

    rows = owner.execute(
        "SELECT code, e.currency, sum(amount_minor)::bigint FROM ledger_entries e "
        "JOIN ledger_accounts a USING (tenant_id, account_id) GROUP BY code, e.currency"
    ).fetchall()
    found = {(code, currency): minor for code, currency, minor in rows}
    assert (found["disputed_funds", "eur"], found["dispute_fees", "usd"]) == (0, 1600)
    assert found["stripe_balance", "usd"] == -4600 - 1600 + 4550
    assert found["stripe_balance", "eur"] == 4048
    assert (found["currency_exchange", "eur"], found["currency_exchange", "usd"]) == (0, 50)
