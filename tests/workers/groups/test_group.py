"""A group pays one order in shares: all or nothing, by a deadline, whoever comes first and however often."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.groups import GroupDue
from messages.money import Money
from messages.verdicts import GiveUp
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.captures import request_capture
from outbox.requests.orders import OrderOutcome
from outbox.requests.refusals import RefusedError
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.groups.scenario import DECLINED, THREE_D_SECURE, Party, effects
from tests.workers.ledger.scenario import balances
from workers.groups.group import group


@pytest.fixture
def party(db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant) -> Party:
    return Party.opened(db, owner, gateway, tenant)


def test_everybody_is_invited_and_the_deadline_is_a_row(party: Party) -> None:
    rows = party.owner.execute("SELECT due_at FROM outbox WHERE kind = 'group'").fetchall()

    assert party.told() == ["group.member_invited"] * 3
    assert [row[0] for row in rows] == [party.group().deadline]
    assert (party.state, party.members()) == ("open", ["invited"] * 3)


def test_money_is_only_held_until_the_last_has_paid_and_then_all_of_it_is_captured(
    party: Party, stripe_control: EmulatorControl
) -> None:
    party.pay(0, 1)
    party.carry_out()
    assert (party.state, party.members()) == ("open", ["held", "held", "invited"])
    assert effects(stripe_control)["charge"] == 0

    party.pay(2)
    party.carry_out()

    assert (party.state, party.members()) == ("settled", ["paid"] * 3)
    assert party.history() == ["open", "complete", "settled"]
    assert party.member_history(2) == ["invited", "paying", "held", "paid"]
    assert [effect["amount"] for effect in stripe_control.effects() if effect["kind"] == "charge"] == [2000] * 3
    assert balances(party.owner)["stripe_balance"] > 0
    assert party.told()[3:] == ["group.member_paid"] * 3 + ["group.completed"]


def test_a_share_is_an_ordinary_order_for_the_members_own_ticket(party: Party) -> None:
    party.pay(1)

    row = party.owner.execute("SELECT order_data FROM orders").fetchone()
    assert row is not None
    assert [ticket["ticket_id"] for ticket in row[0]["tickets"]] == party.data["members"][1]["ticket_ids"]
    assert (row[0]["group_id"], row[0]["buyer_id"]) == (party.data["group_id"], "buyer-1")


def test_every_message_twice_comes_to_the_same(party: Party, stripe_control: EmulatorControl) -> None:
    share = party.share(0)
    body = factories.group_event("share_paid_with", share)
    assert party.tell("opened", party.data) is OrderOutcome.DUPLICATE
    assert accept(party.db, [IncomingEvent(body), IncomingEvent(body)]) == [
        OrderOutcome.ACCEPTED,
        OrderOutcome.DUPLICATE,
    ]
    party.pay(1, 2)

    for _ in range(100):
        if not (due := party.due()):
            break
        for row, kind, payload in due:
            party.owner.execute("DELETE FROM outbox WHERE id = %s", [row])
            party.deliver(kind, payload)
            party.deliver(kind, payload)
    assert party.tell("share_paid_with", share) is OrderOutcome.DUPLICATE

    assert party.state == "settled"
    assert effects(stripe_control)["charge"] == 3
    assert party.told().count("group.completed") == 1
    assert party.told().count("group.member_paid") == 3


def test_a_group_that_is_not_complete_in_time_takes_nothing(party: Party, stripe_control: EmulatorControl) -> None:
    party.pay(0, 1)
    party.carry_out()

    party.let_deadline_pass()
    party.carry_out()

    assert (party.state, party.members()) == ("voided", ["voided"] * 3)
    assert party.history() == ["open", "expired", "voided"]
    assert effects(stripe_control)["charge"] == 0
    assert party.told()[-2:] == ["group.expired", "group.voided"]
    assert balances(party.owner) == {}


def test_what_was_captured_already_is_given_back_when_the_deadline_passes(
    party: Party, stripe_control: EmulatorControl
) -> None:
    party.pay(0, capture="automatic")  # a method that cannot hold
    party.pay(1)
    party.carry_out()
    assert party.members() == ["paid", "held", "invited"]

    party.let_deadline_pass()
    party.carry_out()

    assert (party.state, party.members()) == ("voided", ["refunded", "voided", "voided"])
    assert [effect["amount"] for effect in stripe_control.effects() if effect["kind"] == "refund"] == [2000]
    assert party.owner.execute("SELECT source, reason, state FROM refunds").fetchall() == [
        ("group", "order_cancelled", "succeeded")
    ]
    assert "group.member_refunded" in party.told()


def test_after_the_deadline_nobody_pays_any_more(party: Party) -> None:
    party.let_deadline_pass()

    assert party.tell("share_paid_with", party.share(0)) is OrderOutcome.DEAD
    assert "has passed" in party.buried()[0]


def test_a_declined_member_is_asked_again_and_pays_with_another_card(
    party: Party, stripe_control: EmulatorControl
) -> None:
    party.pay(0, card=DECLINED)
    party.carry_out()
    assert party.members()[0] == "failed"
    assert party.told()[-1] == "group.member_invited"

    party.pay(0, 1, 2)
    party.carry_out()

    assert party.state == "settled"
    assert party.member_history(0) == ["invited", "paying", "failed", "paying", "held", "paid"]
    assert effects(stripe_control)["charge"] == 3
    # The declined intent can be paid no more: it was called off as the second attempt began.
    assert [one.payment_state.value for one in party.attempts()] == ["canceled", "succeeded", "succeeded", "succeeded"]


def test_a_member_may_begin_anew_while_its_bank_waits_for_it(party: Party, stripe_control: EmulatorControl) -> None:
    party.pay(0, card=THREE_D_SECURE)
    party.carry_out()
    assert party.members()[0] == "paying"

    party.pay(0, 1, 2)
    party.carry_out()

    assert party.state == "settled"
    assert effects(stripe_control)["charge"] == 3


def test_the_organiser_pays_what_is_missing_with_one_payment(party: Party, stripe_control: EmulatorControl) -> None:
    party.pay(1)
    party.carry_out()

    assert party.top_up() is OrderOutcome.ACCEPTED
    party.carry_out()

    assert (party.state, party.members()) == ("settled", ["paid"] * 3)
    charged = [effect["amount"] for effect in stripe_control.effects() if effect["kind"] == "charge"]
    assert sorted(charged) == [2000, 4000]
    assert [(one.kind, len(one.member_ids)) for one in party.attempts()] == [("share", 1), ("top_up", 2)]


def test_a_hold_that_would_end_before_the_deadline_is_captured_early_and_given_back_if_the_others_do_not_come(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant, stripe_control: EmulatorControl
) -> None:
    party = Party.opened(db, owner, gateway, tenant, deadline=(datetime.now(UTC) + timedelta(days=20)).isoformat())
    party.pay(0)
    party.carry_out()
    (wake,) = owner.execute(
        "SELECT o.due_at = p.capture_before - interval '24 h' FROM payments p, outbox o "
        "WHERE o.kind = 'group' AND o.due_at < clock_timestamp() + interval '19 days'"
    ).fetchall()
    assert wake == (True,)

    owner.execute("UPDATE payments SET capture_before = clock_timestamp() + interval '23 h'")
    party.wake()
    party.carry_out()
    assert (party.state, party.members()) == ("open", ["paid", "invited", "invited"])

    party.let_deadline_pass()
    party.carry_out()

    assert (party.state, party.members()) == ("voided", ["refunded", "voided", "voided"])
    assert effects(stripe_control)["refund"] == 1


def test_a_hold_that_ended_early_is_asked_for_again(party: Party) -> None:
    party.pay(0)
    party.carry_out()
    intent = party.owner.execute("SELECT payment_intent_id FROM payments").fetchone()
    assert intent is not None
    party.gateway.v1.payment_intents.cancel(intent[0])

    (share,) = [share for share in party.shares() if share.payment_id]
    party.deliver("lookup", {"tenant_id": str(party.tenant.tenant_id), "payment_id": str(share.payment_id)})
    party.carry_out()
    assert party.members()[0] == "failed"
    assert party.told()[-1] == "group.member_invited"

    party.pay(0, 1, 2)
    party.carry_out()
    assert party.state == "settled"


def test_members_who_are_missing_are_reminded_once_and_nobody_else(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    party = Party.opened(db, owner, gateway, tenant, remind_at=[soon.isoformat()])
    party.pay(0)
    party.carry_out()

    owner.execute("UPDATE group_reminders SET remind_at = clock_timestamp()")
    party.wake()
    party.wake()

    rows = owner.execute("SELECT convert_from(body, 'utf8')::jsonb -> 'data' ->> 'buyer_id' FROM outbox "
                         "WHERE kind = 'group.reminder_due' ORDER BY id").fetchall()  # fmt: skip
    assert [row[0] for row in rows] == ["buyer-1", "buyer-2"]


def test_shares_that_do_not_fit_the_tickets_pay_for_parts_of_them(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    ticket = str(uuid4())
    party = Party.opened(
        db, owner, gateway, tenant, 1000, 1500, tickets=[{"ticket_id": ticket, "face_price_minor": 2500, "seat": "A1"}]
    )  # fmt: skip
    party.pay(0, 1)
    party.carry_out()

    prices = owner.execute("SELECT order_data -> 'tickets' -> 0 ->> 'face_price_minor' FROM orders").fetchall()
    assert sorted(row[0] for row in prices) == ["1000", "1500"]
    assert party.state == "settled"


def test_a_share_is_captured_whole_or_not_at_all(party: Party) -> None:
    party.pay(0)
    party.carry_out()
    payment_id = party.shares()[0].payment_id
    assert payment_id is not None

    with (
        party.db.transaction(party.tenant.tenant_id) as tx,
        pytest.raises(RefusedError, match="share of a group"),
    ):
        request_capture(tx, payment_id=payment_id, amount=Money(1, "eur"))


def test_an_unknown_group_is_for_a_person(db: Database, tenant: Tenant) -> None:
    with pytest.raises(GiveUp, match="no group"):
        group(GroupDue(tenant_id=tenant.tenant_id, group_id=uuid4()), db)
