"""The arithmetic of the shared budget, in the real Valkey: who gets the next token, how a rate falls and returns."""

import time
from collections import Counter
from itertools import pairwise
from uuid import uuid4

import pytest

from messages.ids import TenantId
from messages.runtime.priority import Requester, Urgency
from stripe_client.rate_limit.shared_budget import ACCOUNT, RECOVERY_SECONDS, SharedBudget, learned
from tests.waiting import until

CHARGES, REFUNDS = "payment_intents", "refunds"
RATES = (50.0, 50.0)


def asker(urgency: Urgency = Urgency.NORMAL) -> Requester:
    return Requester(TenantId(uuid4()), urgency)


def draw(budget: SharedBudget, who: Requester, seconds: float, family: str = CHARGES, *, pause: float = 0.0) -> int:
    """Ask again and again for so long; how many were granted."""
    deadline, granted = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        granted += budget.take(family, who, 1, RATES).granted
        time.sleep(pause)
    return granted


def test_no_more_than_the_rate_and_one_burst_is_granted_however_often_one_asks(budget: SharedBudget) -> None:
    granted = draw(budget, asker(), 2.0)

    assert 90 <= granted <= 125


def test_a_permit_takes_from_the_account_and_from_the_endpoint(budget: SharedBudget) -> None:
    busy = asker()
    draw(budget, busy, 0.3)

    other_endpoint = budget.take(REFUNDS, busy, 50, RATES)

    assert other_endpoint.granted < 5  # its endpoint would grant a burst; the account has what a moment brings
    assert [state.name for state in budget.look()] == [ACCOUNT, CHARGES, REFUNDS][: len(budget.look())]


def test_who_is_refused_is_told_a_time_and_each_one_a_later_one(budget: SharedBudget) -> None:
    who = asker()
    while budget.take(CHARGES, who, 100, RATES).granted:
        pass

    started, told = time.monotonic(), list[tuple[float, float]]()
    for _ in range(40):
        asked = time.monotonic() - started
        if not (answer := budget.take(CHARGES, who, 1, RATES)).granted:  # its moment lies between these two
            told.append((asked + answer.wait_seconds, time.monotonic() - started + answer.wait_seconds))

    assert len(told) > 30
    assert all(earliest <= latest for (earliest, _), (_, latest) in pairwise(told))
    assert told[-1][0] < 1.0  # forty at fifty a second
    assert told[-1][1] > 0.6


def test_two_tenants_share_equally_when_both_want_everything(budget: SharedBudget) -> None:
    one, other, granted = asker(), asker(), Counter[Requester]()
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline:
        for who in [one] * 10 + [other]:  # ten times the demand
            granted[who] += budget.take(CHARGES, who, 1, RATES).granted

    assert granted.total() > 130
    assert 0.8 < granted[one] / granted[other] < 1.25, granted


def test_a_tenant_that_asks_for_little_is_served_at_once_and_the_rest_goes_to_the_other(budget: SharedBudget) -> None:
    greedy, modest, waits, granted = asker(), asker(), list[float](), 0
    started = time.monotonic()
    asked_at = started + 0.5
    while (now := time.monotonic()) < started + 4.0:
        granted += budget.take(CHARGES, greedy, 1, RATES).granted
        if now >= asked_at and budget.take(CHARGES, modest, 1, RATES).granted:
            waits.append(now - asked_at)
            asked_at = now + 0.2

    assert max(waits) < 0.1, waits  # five a second, of a share of 25
    assert len(waits) >= 15
    assert granted + len(waits) > 0.9 * 50 * 4.0  # nothing of the rate is left lying


def test_many_small_tenants_leave_a_big_one_its_share_and_no_more(budget: SharedBudget) -> None:
    big, small, granted = asker(), [asker() for _ in range(9)], Counter[Requester]()
    deadline = time.monotonic() + 4.0
    while time.monotonic() < deadline:
        for who in [big, big, big, *small]:
            granted[who] += budget.take(CHARGES, who, 1, RATES).granted

    assert min(granted[who] for who in small) > 10  # a fair share is 20
    assert granted[big] < 40


def test_a_refund_finds_a_token_while_charges_take_all_they_get(budget: SharedBudget) -> None:
    tenant = TenantId(uuid4())
    charges, refunds = Requester(tenant), Requester(tenant, Urgency.FIRST)
    first_tries = []
    for _ in range(10):
        draw(budget, charges, 0.2)
        first_tries.append(budget.take(CHARGES, refunds, 1, RATES).granted)

    assert first_tries == [1] * 10


def test_refunds_of_a_mass_cancellation_leave_a_quarter_to_charges(budget: SharedBudget) -> None:
    refunds, charges, granted = asker(Urgency.FIRST), asker(), Counter[Requester]()
    draw(budget, refunds, 0.5)  # the first burst is all theirs
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline:
        for who in [refunds] * 5 + [charges]:
            granted[who] += budget.take(CHARGES, who, 1, RATES).granted

    assert granted[refunds] > granted[charges]
    assert granted[charges] > 0.15 * granted.total()


def test_a_429_halves_the_rate_once_and_it_comes_back(budget: SharedBudget) -> None:
    who = asker()
    draw(budget, who, 1.5)

    assert budget.cut(CHARGES, 50.0)
    assert not budget.cut(CHARGES, 50.0)  # the same burst

    cut = {state.name: state for state in budget.look()}
    assert 20 < cut[CHARGES].learned_per_second < 32
    assert cut[ACCOUNT].learned_per_second == 50.0
    assert cut[CHARGES].limited == 2
    assert 20 <= draw(budget, who, 1.0) <= 45


def test_the_curve_is_slow_near_the_rate_that_was_too_much_and_leaves_it_behind() -> None:
    after = [learned(100.0, 40.0, age) for age in (0.0, RECOVERY_SECONDS / 2, RECOVERY_SECONDS, 3 * RECOVERY_SECONDS)]

    assert after == [20.0, pytest.approx(37.5), 40.0, 100.0]


def test_a_wiped_server_begins_anew_and_knows_the_script_again(budget: SharedBudget) -> None:
    who = asker()
    budget.take(CHARGES, who, 1, RATES)
    budget._client.flushall()
    budget._client.script_flush()

    assert budget.take(CHARGES, who, 1, RATES).granted == 1


def test_a_fresh_bucket_fills_also_for_who_may_not_draw_it_low(budget: SharedBudget) -> None:
    last = asker(Urgency.LAST)
    assert budget.take(CHARGES, last, 1, RATES).granted == 0

    until(lambda: budget.take(CHARGES, last, 1, RATES).granted == 1, seconds=2)


def test_processes_that_share_are_counted(budget: SharedBudget) -> None:
    assert budget.take(CHARGES, asker(), 1, RATES, "one").processes == 1
    assert budget.take(CHARGES, asker(), 1, RATES, "two").processes == 2
    assert budget.take(CHARGES, asker(), 1, RATES).processes is None
