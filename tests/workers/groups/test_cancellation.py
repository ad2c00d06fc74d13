"""A group that is called off, or whose captures fail: nobody keeps what was taken, and nobody loses what was not."""

from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from db.disputes import disputes
from db.disputes.states import DisputeStatus
from db.session import Database
from db.shares import escrow
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.ids import PaymentId
from messages.money import Money
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from stripe_client.gateway import Gateway
from tests.workers.groups.scenario import Party, effects
from tests.workers.refunds.mass_refund_scenario import event_off


@pytest.fixture
def party(db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant) -> Party:
    return Party.opened(db, owner, gateway, tenant)


def test_a_group_that_is_called_off_releases_everything_and_is_called_off_once(party: Party) -> None:
    party.pay(0, 1)
    party.carry_out()

    assert [party.call_off(), party.call_off()] == [OrderOutcome.ACCEPTED, OrderOutcome.DUPLICATE]
    party.carry_out()

    assert (party.state, party.members()) == ("voided", ["voided"] * 3)
    assert party.history() == ["open", "canceled", "voided"]


def test_a_settled_group_that_is_called_off_gives_everybody_everything_back(
    party: Party, stripe_control: EmulatorControl
) -> None:
    party.pay(0, 1, 2)
    party.carry_out()

    assert party.call_off() is OrderOutcome.ACCEPTED
    party.carry_out()

    assert (party.state, party.members()) == ("voided", ["refunded"] * 3)
    assert [effect["amount"] for effect in stripe_control.effects() if effect["kind"] == "refund"] == [2000] * 3


def test_a_capture_that_fails_after_others_succeeded_gives_all_of_them_back(
    party: Party, stripe_control: EmulatorControl
) -> None:
    party.pay(0, 1, 2)
    party.carry_out("charge", "group")
    assert party.state == "complete"
    third = party.shares()[2].payment_id
    party.owner.execute("DELETE FROM outbox WHERE kind = 'capture' AND ordering_key = %s", [third])
    party.carry_out("capture")
    intent = party.owner.execute("SELECT payment_intent_id FROM payments WHERE payment_id = %s", [third]).fetchone()
    assert intent is not None
    party.gateway.v1.payment_intents.cancel(intent[0])  # the hold ended, or the bank took it back

    party.deliver("capture", {"tenant_id": str(party.tenant.tenant_id), "payment_id": str(third)})
    party.carry_out()

    assert (party.state, party.members()) == ("voided", ["refunded", "refunded", "voided"])
    assert party.history() == ["open", "complete", "canceled", "voided"]
    assert (effects(stripe_control)["charge"], effects(stripe_control)["refund"]) == (2, 2)
    assert "group.completed" not in party.told()


def test_called_off_while_it_is_captured_no_cent_stays(party: Party, stripe_control: EmulatorControl) -> None:
    party.pay(0, 1, 2)
    party.carry_out("charge", "group")
    row, kind, payload = next(one for one in party.due() if one[1] == "capture")
    party.owner.execute("DELETE FROM outbox WHERE id = %s", [row])
    party.deliver(kind, payload)

    assert party.call_off() is OrderOutcome.ACCEPTED
    party.carry_out()

    assert party.state == "voided"
    assert set(party.members()) <= {"refunded", "voided"}
    assert effects(stripe_control)["charge"] == effects(stripe_control)["refund"] >= 1
    assert "group.completed" not in party.told()


def test_a_group_of_a_cancelled_event_is_called_off(party: Party) -> None:
    party.pay(0)
    party.carry_out()
    off = event_off(party.tenant, UUID(party.data["event_id"]))
    assert accept(party.db, [IncomingEvent(off)]) == [OrderOutcome.ACCEPTED]

    assert party.tell("share_paid_with", party.share(1)) is OrderOutcome.DEAD
    party.wake()
    party.carry_out()

    assert party.state == "voided"


def test_what_a_bank_took_back_by_a_dispute_is_given_back(party: Party) -> None:
    party.pay(0, capture="automatic")
    party.carry_out()
    payment_id = party.shares()[0].payment_id
    dispute(party, payment_id, "needs_response")
    party.let_deadline_pass()
    party.carry_out()
    assert (party.state, party.members()[0]) == ("expired", "paid")  # a refund beside it would pay twice

    party.owner.execute("UPDATE disputes SET status = 'lost'")
    party.wake()

    assert (party.state, party.members()[0]) == ("voided", "refunded")
    assert party.owner.execute("SELECT count(*) FROM refunds").fetchone() == (0,)


def test_nobody_is_paid_out_of_a_group_before_it_is_settled(party: Party) -> None:
    party.pay(0, capture="automatic")
    party.carry_out()
    with party.db.system_transaction() as tx:
        assert escrow.due(tx, after=None, limit=10) == []
    assert party.owner.execute("SELECT DISTINCT state FROM shares WHERE amount_minor > 0").fetchall() == [("held",)]

    party.pay(1, 2)
    party.carry_out()

    assert party.state == "settled"
    with party.db.system_transaction() as tx:
        assert len(escrow.due(tx, after=None, limit=10)) == 3


def dispute(party: Party, payment_id: PaymentId | None, status: str) -> None:
    now = datetime.now(UTC)
    assert payment_id is not None
    seen = disputes.DisputeSnapshot(
        "dp_1", "ch_1", Money(2000, "eur"), "fraudulent", DisputeStatus(status), now, None, now
    )
    with party.db.transaction(party.tenant.tenant_id) as tx:
        disputes.record(tx, payment_id, seen, stage="chargeback", submitted=False, by="test")
