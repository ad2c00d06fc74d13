"""Two at once, and deaths in between: whoever gets the group's row first is first, and no cent goes astray.

Each race is run for real, in threads with transactions of their own; whoever wins it, the end must be a sound one.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier
from time import sleep
from typing import Any

import psycopg
import pytest

from db.groups import verify as group_verify
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from messages.verdicts import TryAgain
from outbox.requests.orders import OrderOutcome
from stripe_client.gateway import Gateway
from tests.workers.groups.scenario import THREE_D_SECURE, Party
from workers.payments.charge import charge
from workers.verify.groups import check_groups
from workers.verify.report import Report

Make = Callable[..., Party]


@pytest.fixture
def make(db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant) -> Make:
    return lambda *shares, **changes: Party.opened(db, owner, gateway, tenant, *shares, **changes)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """All of them begin at the same moment; what each returned, in order."""
    barrier = Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(run, work) for work in works]]


def money(control: EmulatorControl) -> int:
    """What the bank has taken and not given back."""
    return sum(effect["amount"] * {"charge": 1, "refund": -1}.get(effect["kind"], 0) for effect in control.effects())


def assert_sound(party: Party) -> None:
    """The checker finds every group as its state says."""
    report = Report()
    with party.db.system_transaction() as tx:
        check_groups(report, group_verify.groups(tx))
    assert report.findings == []
    assert report.kinds["groups"].done == report.kinds["groups"].attempted


def test_the_last_share_and_the_deadline_at_the_same_moment_are_all_or_nothing(
    make: Make, stripe_control: EmulatorControl
) -> None:
    for early in (0.0, 0.02, 0.05):
        deadline = datetime.now(UTC) + timedelta(seconds=0.8)
        party = make(1000, 1000, deadline=deadline.isoformat())
        party.pay(0, 1)
        first, last = (payload for _, _, payload in party.due())
        party.deliver("charge", first)
        party.owner.execute("DELETE FROM outbox WHERE kind = 'charge'")
        before = money(stripe_control)

        at_once(partial(charge_at, party, last, deadline, early), partial(wake_at, party, deadline))
        party.carry_out()

        assert (party.state, money(stripe_control) - before) in {("settled", 2000), ("voided", 0)}
    assert_sound(party)


def charge_at(party: Party, payload: dict[str, object], moment: datetime, early: float) -> None:
    sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds() - early))
    party.deliver("charge", payload)


def wake_at(party: Party, moment: datetime) -> None:
    sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
    party.wake()


def test_when_all_had_paid_before_the_deadline_it_comes_too_late_however_late_we_look(
    make: Make, stripe_control: EmulatorControl
) -> None:
    party = make(1000, 1000)
    party.pay(0, 1)
    party.carry_out("charge")

    party.let_deadline_pass()
    at_once(party.wake, party.wake, party.wake)
    party.carry_out()

    assert (party.state, money(stripe_control)) == ("settled", 2000)
    assert party.told().count("group.completed") == 1
    assert_sound(party)


def test_a_charge_that_was_not_sent_yet_at_the_deadline_never_is(make: Make, stripe_control: EmulatorControl) -> None:
    party = make(1000, 1000)
    party.pay(0, 1)

    party.let_deadline_pass()
    party.carry_out("group")
    party.carry_out()

    assert (party.state, party.members()) == ("voided", ["voided", "voided"])
    assert stripe_control.effects() == []
    assert_sound(party)


@pytest.mark.parametrize("capture", ["manual", "automatic"])
def test_a_deadline_in_the_middle_of_a_charge_leaves_nothing_taken(
    make: Make, stripe_control: EmulatorControl, capture: str
) -> None:
    party = make(1000, 1000)
    party.pay(0, capture=capture)
    stripe_control.add_fault("drop_after", path="/v1/payment_intents", max_firings=1)
    (row, _, payload) = party.due()[0]
    party.owner.execute("DELETE FROM outbox WHERE id = %s", [row])
    with pytest.raises(TryAgain):  # it was sent, and nobody knows what came of it
        charge(ChargeRequested.model_validate(payload), party.db, party.gateway)

    party.let_deadline_pass()
    party.carry_out()
    assert party.state == "expired"  # nobody may say that nothing is held while that is not known
    party.deliver("charge", payload)
    party.carry_out()

    assert party.state == "voided"
    assert money(stripe_control) == 0
    assert_sound(party)


def test_two_members_who_pay_at_once_both_pay(make: Make, stripe_control: EmulatorControl) -> None:
    party = make(1000, 1000, 1000)

    at_once(*(partial(party.pay, place) for place in range(3)))
    party.carry_out()

    assert party.state == "settled"
    assert [one.attempt for one in party.attempts()] == [1, 2, 3]
    assert money(stripe_control) == 3000


def test_one_member_who_pays_twice_at_once_pays_once(make: Make, stripe_control: EmulatorControl) -> None:
    party = make(1000, 1000)

    outcomes = at_once(*(lambda: party.tell("share_paid_with", party.share(0)) for _ in range(4)))

    assert Counter(outcomes) == Counter({OrderOutcome.ACCEPTED: 1, OrderOutcome.DEAD: 3})
    party.pay(1)
    party.carry_out()
    assert (party.state, money(stripe_control)) == ("settled", 2000)


def test_the_same_click_at_once_is_one_payment(make: Make) -> None:
    party = make(1000, 1000)
    click = party.share(0)

    outcomes = at_once(*(lambda: party.tell("share_paid_with", click) for _ in range(4)))

    assert Counter(outcomes) == Counter({OrderOutcome.ACCEPTED: 1, OrderOutcome.DUPLICATE: 3})


def test_the_same_group_opened_at_once_is_one_group(make: Make) -> None:
    party = make(1000, 1000)
    again = party.data | {"group_id": party.data["organiser_id"]}

    outcomes = at_once(*(lambda: party.tell("opened", again) for _ in range(4)))

    assert Counter(outcomes) == Counter({OrderOutcome.ACCEPTED: 1, OrderOutcome.DUPLICATE: 3})
    assert party.told().count("group.member_invited") == 4


def test_a_top_up_while_a_member_pays_charges_each_share_once(make: Make, stripe_control: EmulatorControl) -> None:
    for _ in range(4):
        party = make(1000, 1000, 1000)
        party.pay(0)
        before = money(stripe_control)

        _, topped = at_once(partial(party.tell, "share_paid_with", party.share(1)), party.top_up)
        party.carry_out()

        assert topped is OrderOutcome.ACCEPTED
        assert party.state == "settled"
        assert money(stripe_control) - before == 3000
    assert_sound(party)


def test_a_top_up_takes_the_place_of_a_payment_that_waits_for_its_buyer(
    make: Make, stripe_control: EmulatorControl
) -> None:
    party = make(1000, 1000)
    party.pay(1, card=THREE_D_SECURE)
    party.carry_out()

    assert party.top_up() is OrderOutcome.ACCEPTED
    assert party.tell("share_paid_with", party.share(1)) is OrderOutcome.DEAD  # the organiser is paying it
    party.carry_out()

    assert (party.state, money(stripe_control)) == ("settled", 2000)
    assert [one.payment_state.value for one in party.attempts()] == ["canceled", "succeeded"]
    assert_sound(party)


def test_called_off_at_the_moment_of_the_captures_is_all_or_nothing(
    make: Make, stripe_control: EmulatorControl
) -> None:
    for _ in range(4):
        party = make(1000, 1000)
        party.pay(0, 1)
        party.carry_out("charge", "group")
        assert party.state == "complete"

        at_once(party.call_off, partial(party.carry_out, "capture"))
        party.carry_out()

        assert party.state == "voided"
        assert money(stripe_control) == 0
    assert_sound(party)


def test_a_lost_answer_to_a_capture_is_asked_for_and_the_group_settles(
    make: Make, stripe_control: EmulatorControl
) -> None:
    party = make(1000, 1000)
    party.pay(0, 1)
    party.carry_out("charge", "group")
    held = party.attempts()[0]
    intent = party.owner.execute(
        "SELECT payment_intent_id FROM payments WHERE payment_id = %s", [held.payment_id]
    ).fetchone()
    assert intent is not None
    stripe_control.add_fault("drop_after", path=f"/v1/payment_intents/{intent[0]}/capture", max_firings=1)

    party.carry_out()

    assert (party.state, money(stripe_control)) == ("settled", 2000)
