"""`fleet dispute`: read, prepare, submit, accept; every decision is logged, asked for, and done by a worker."""

from pathlib import Path

import psycopg
import pytest

from db.operators.log import LogEntry, latest
from db.payments.payments import Payment
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from outbox.sealing import Sealer, SealSettings, new_pair
from stripe_client.gateway import Gateway
from tests import factories
from tests.outbox.ops.conftest import Fleet
from tests.outbox.ops.scenario import run_due
from tests.workers.disputes.scenario import hear
from tests.workers.refunds.scenario import charged


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    made = factories.tenant(owner)
    owner.execute("UPDATE venues SET refund_policy_text = 'No refunds within 24 hours of the event.'")
    return made


@pytest.fixture
def payment(db: Database, gateway: Gateway, tenant: Tenant) -> Payment:
    return charged(db, gateway, tenant, amount_minor=4200)


@pytest.fixture
def dispute_id(db: Database, gateway: Gateway, stripe_control: EmulatorControl, payment: Payment) -> str:
    made = stripe_control.dispute(payment.payment_intent_id or "", reason="product_not_received")
    hear(db, gateway)
    return str(made["id"])


def log(db: Database) -> list[LogEntry]:
    with db.ops_transaction() as tx:
        return latest(tx, limit=10)


def work(db: Database, gateway: Gateway) -> None:
    run_due(db, gateway, Sealer(SealSettings(app_env="test", dead_letter_public_key=new_pair()[0])))  # type: ignore[arg-type]


def test_disputes_are_listed_with_the_time_that_is_left(
    fleet: Fleet, owner: psycopg.Connection, dispute_id: str
) -> None:
    owner.execute("UPDATE disputes SET evidence_due_at = now() + interval '47 hours'")

    shown = fleet("dispute", "list")

    assert shown.code == 0
    for piece in (dispute_id, "47 h", "42.00 EUR", "The Hall", "product not received"):
        assert piece in shown.out
    assert fleet("dispute", "list", "--state", "closed", "--json").json == {"disputes": []}
    assert fleet("dispute", "list", "--state", "waiting", "--json").json["disputes"][0]["dispute_id"] == dispute_id


def test_one_dispute_is_shown_with_its_money_and_history(fleet: Fleet, payment: Payment, dispute_id: str) -> None:
    shown = fleet("dispute", "show", dispute_id)

    for piece in ("needs response", "-42.00 EUR", "15.00 EUR", str(payment.payment_id), "webhook"):
        assert piece in shown.out
    assert fleet("dispute", "show", "dp_other").code == 1


def test_the_pack_holds_order_tickets_payment_and_policy_and_names_what_is_missing(
    fleet: Fleet, payment: Payment, dispute_id: str
) -> None:
    document = fleet("dispute", "evidence", dispute_id, "--json").json

    evidence = document["evidence"]
    assert str(payment.order_id) in evidence["product_description"]
    assert "seat A1, 21.00 EUR" in evidence["product_description"]
    assert "the payment succeeded" in evidence["access_activity_log"]
    assert "42.00 EUR" in evidence["uncategorized_text"]
    assert evidence["refund_policy_disclosure"] == "No refunds within 24 hours of the event."
    assert any("were used at the door is not known here" in gap for gap in document["gaps"])
    assert "buyer-1" not in str(evidence)


def test_fields_are_written_removed_and_assembled_anew(
    fleet: Fleet, db: Database, dispute_id: str, tmp_path: Path
) -> None:
    (tmp_path / "door.txt").write_text("scanned at 19:58")
    words = ("dispute", "evidence", dispute_id)

    fleet(*words, "--set", "refund_policy_disclosure=", "--file", f"access_activity_log={tmp_path / 'door.txt'}")
    changed = fleet(*words, "--json").json["evidence"]
    anew = fleet(*words, "--rebuild", "--json").json["evidence"]

    assert "refund_policy_disclosure" not in changed
    assert changed["access_activity_log"] == "scanned at 19:58"
    assert "the payment succeeded" in anew["access_activity_log"]
    assert [entry.action for entry in log(db)] == ["draft evidence", "draft evidence"]
    assert log(db)[0].operator == "ada"


@pytest.mark.parametrize("pair", ["no_such_field=words", "uncategorized_text=" + "x" * 20_001])
def test_what_stripe_would_not_take_is_refused_before_it_is_kept(fleet: Fleet, dispute_id: str, pair: str) -> None:
    answer = fleet("dispute", "evidence", dispute_id, "--set", pair)

    assert answer.code == 1
    assert "Refused" in answer.err


def test_evidence_is_submitted_by_a_worker_after_a_yes_and_once(
    fleet: Fleet, db: Database, gateway: Gateway, dispute_id: str
) -> None:
    no = fleet("dispute", "submit", dispute_id, "--reason", "we can prove it", answer="n\n")
    yes = fleet("dispute", "submit", dispute_id, "--reason", "we can prove it", answer="y\n")
    again = fleet("dispute", "submit", dispute_id, "--reason", "we can prove it", "--yes")
    work(db, gateway)

    assert (no.code, yes.code, again.code) == (1, 0, 1)
    assert "ada has decided to submit it" in again.err
    assert fleet("dispute", "show", dispute_id, "--json").json["status"] == "under_review"
    assert [(entry.action, entry.reason) for entry in log(db)] == [("submit dispute", "we can prove it")]
    assert fleet("dispute", "evidence", dispute_id, "--set", "uncategorized_text=late").code == 1


def test_a_dispute_is_accepted_by_a_worker_and_only_with_a_reason(
    fleet: Fleet, db: Database, gateway: Gateway, dispute_id: str
) -> None:
    assert fleet("dispute", "accept", dispute_id, "--yes").code == 2
    assert (
        fleet("dispute", "accept", dispute_id, "--reason", "not worth it", "--yes", "--json").json["wish"] == "accept"
    )
    work(db, gateway)

    shown = fleet("dispute", "show", dispute_id, "--json").json
    assert (shown["status"], shown["lost_minor"]) == ("lost", 4200)
    assert fleet("dispute", "accept", dispute_id, "--reason", "again", "--yes").code == 1


def test_warnings_are_listed_with_what_was_decided(
    fleet: Fleet, db: Database, gateway: Gateway, stripe_control: EmulatorControl, payment: Payment
) -> None:
    stripe_control.warn_of_fraud(payment.payment_intent_id or "", "made_with_stolen_card")
    hear(db, gateway)

    shown = fleet("dispute", "warnings")

    assert "made with stolen card" in shown.out
    assert "leave" in shown.out


def test_disputes_and_warnings_belong_to_the_payments_story(
    fleet: Fleet, db: Database, gateway: Gateway, stripe_control: EmulatorControl, payment: Payment
) -> None:
    stripe_control.warn_of_fraud(payment.payment_intent_id or "")
    hear(db, gateway)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]
    hear(db, gateway)
    fleet("dispute", "accept", dispute_id, "--reason", "not worth it", "--yes")
    work(db, gateway)

    document = fleet("payment", "show", payment.payment_id, "--json").json

    told = [(line["part"], line["what"]) for line in document["timeline"]]
    for line in (("warning", "leave"), ("dispute", "needs_response"), ("dispute", "lost"), ("call", "answered")):
        assert line in told
    assert ("ledger", "dispute_lost") in told
    assert ("operator", "accept dispute") in told
    assert any(
        part == "webhook" and "charge.dispute" in str(line)
        for (part, _), line in zip(told, document["timeline"], strict=True)
    )
