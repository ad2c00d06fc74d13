"""Permits as the gateway asks for them: many threads, two governors as two processes have them, the emulator's limiter
over HTTP, and a Valkey that is wiped, stopped and killed in the middle.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from deploy.local.stack.memory import Memory
from deploy.local.stack.valkey import Valkey
from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess
from messages.ids import TenantId
from messages.runtime.priority import Urgency, asking_for
from messages.verdicts import TryAgain, TryLater
from stripe_client.gateway import Gateway
from stripe_client.rate_limit import limiter as governors
from stripe_client.rate_limit.limiter import NoPermitError
from stripe_client.rate_limit.shared_budget import ACCOUNT, SharedBudget
from tests.budgets import MakeGovernor
from tests.conftest import stripe_settings
from tests.stripe_client.rate_limit.crowd import LIMIT, Crowd, Wish, charge
from tests.waiting import until


@pytest.fixture
def gateways(
    stripe_server: EmulatorProcess, stripe_control: EmulatorControl, governor_of: MakeGovernor
) -> Callable[..., list[Gateway]]:
    """As so many worker processes have them."""

    def make(count: int = 2, **settings: object) -> list[Gateway]:
        return [Gateway(stripe_settings(stripe_server.base_url), governor_of(**settings)) for _ in range(count)]

    return make


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """One that a test may stop and kill without the others noticing."""
    server = Valkey(tmp_path, Memory(tmp_path))
    server.start()
    yield server
    server.kill()


def test_two_processes_stay_below_the_limit_of_stripe(
    gateways: Callable[..., list[Gateway]], stripe_control: EmulatorControl
) -> None:
    stripe_control.set_limit(LIMIT, LIMIT)
    tenant = TenantId(uuid4())
    crowd = Crowd(gateways())

    crowd.serve([Wish(tenant)] * 150)

    assert crowd.limited <= 3
    assert 4.5 < crowd.done_after[tenant][-1] < 10  # at 25 a second, and no slower
    assert len(stripe_control.effects()) == 150


def test_one_on_sale_does_not_starve_the_others(gateways: Callable[..., list[Gateway]]) -> None:
    onsale, other = TenantId(uuid4()), TenantId(uuid4())
    crowd = Crowd(gateways())

    crowd.serve([Wish(onsale)] * 200 + [Wish(other)] * 20)  # the other one stands behind the whole on-sale

    assert crowd.done_after[other][-1] < 0.5 * crowd.done_after[onsale][-1], crowd.done_after[other]
    assert crowd.done_after[onsale][-1] < 14  # 220 at 25 a second are nine: little of the rate was left lying


def test_what_goes_first_overtakes_queued_charges(gateways: Callable[..., list[Gateway]]) -> None:
    tenant = TenantId(uuid4())
    crowd = Crowd(gateways())

    crowd.serve([Wish(tenant)] * 120 + [Wish(tenant, Urgency.FIRST)] * 10)

    assert crowd.first_done_after[-1] < 0.6 * crowd.done_after[tenant][-1]


def test_429s_lower_the_rate_until_they_cease_and_it_recovers(
    gateways: Callable[..., list[Gateway]], stripe_control: EmulatorControl, budget: SharedBudget
) -> None:
    stripe_control.set_limit(10.0)  # another program has taken the rest
    tenant = TenantId(uuid4())
    crowd = Crowd(gateways(per_second=50.0))

    crowd.serve([Wish(tenant)] * 80)
    low = learned_rate(budget)
    stripe_control.set_limit(None)

    assert len(stripe_control.effects()) == 80
    assert crowd.limited < 25
    assert low < 30
    until(lambda: learned_rate(budget) == 50.0, seconds=40)


def test_a_locked_object_is_no_reason_to_slow_down(
    gateways: Callable[..., list[Gateway]], stripe_control: EmulatorControl, budget: SharedBudget
) -> None:
    stripe_control.add_fault("lock_timeout", path="/v1/payment_intents", max_firings=3)
    (gateway,) = gateways(1)

    with pytest.raises(TryAgain):
        charge(gateway)

    assert learned_rate(budget) == LIMIT


@pytest.mark.parametrize(("reason", "bucket"), [("global-concurrency", ACCOUNT), ("endpoint-rate", "payment_intents")])
def test_the_bucket_that_the_reason_names_is_cut(
    gateways: Callable[..., list[Gateway]],
    stripe_control: EmulatorControl,
    budget: SharedBudget,
    reason: str,
    bucket: str,
) -> None:
    stripe_control.add_fault("rate_limit", path="/v1/payment_intents", reason=reason, max_firings=1)
    (gateway,) = gateways(1)

    with pytest.raises(TryLater, match=reason):
        charge(gateway)

    assert {state.name for state in budget.look() if state.limited} == {bucket}


def test_a_wiped_a_frozen_and_a_killed_cache_cost_speed_and_nothing_else(
    gateways: Callable[..., list[Gateway]], stripe_control: EmulatorControl, own_valkey: Valkey
) -> None:
    stripe_control.set_limit(LIMIT)
    tenant = TenantId(uuid4())
    crowd = Crowd(gateways(url=own_valkey.url))

    with own_fate(own_valkey, crowd):
        crowd.serve([Wish(tenant)] * 160)

    assert len(stripe_control.effects()) == 160
    assert crowd.limited <= 8


@contextmanager
def own_fate(valkey: Valkey, crowd: Crowd) -> Iterator[None]:
    """Wiped after a quarter, frozen for a second after two, killed after three."""
    done = lambda: sum(map(len, crowd.done_after.values()))  # noqa: E731

    def strike() -> None:
        until(lambda: done() >= 40, seconds=30)
        with redis.Redis.from_url(valkey.url) as client:
            client.flushall()
            client.script_flush()
        until(lambda: done() >= 80, seconds=30)
        assert valkey.process is not None
        valkey.process.send_signal(signal.SIGSTOP)
        until(lambda: done() >= 100, seconds=30)
        valkey.process.send_signal(signal.SIGCONT)
        until(lambda: done() >= 120, seconds=30)
        valkey.kill()

    thread = threading.Thread(target=strike)
    thread.start()
    yield
    thread.join()


def test_a_cache_that_never_was_there_leaves_each_process_its_share(governor_of: MakeGovernor) -> None:
    governor = governor_of(per_second=20.0, url="redis://127.0.0.1:1/0")  # two processes: ten a second for this one
    deadline, granted = time.monotonic() + 2.0, 0
    while time.monotonic() < deadline:
        governor.acquire("refunds")
        granted += 1

    assert 15 <= granted <= 28


def test_the_cache_is_used_again_once_it_is_back(
    governor_of: MakeGovernor, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(governors, "AWAY_SECONDS", 0.1)
    governor = governor_of(url=own_valkey.url)
    governor.acquire("refunds")
    own_valkey.kill()
    governor.acquire("refunds")
    assert not governor.is_shared

    own_valkey.start()

    until(lambda: governor.is_shared)  # though nobody asks for anything meanwhile
    governor.acquire("refunds")
    assert governor.is_shared


def test_nobody_waits_longer_than_told_and_the_rest_is_sent_back_at_once(governor_of: MakeGovernor) -> None:
    governor = governor_of(per_second=2.0)
    waited: list[float] = []

    def ask(_: int) -> float:
        """The told seconds; 0 when granted."""
        started = time.monotonic()
        try:
            with asking_for(None, Urgency.NORMAL):
                governor.acquire("payment_intents")
        except NoPermitError as refused:
            waited.append(time.monotonic() - started)
            return refused.seconds
        return 0.0

    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(ask, range(20)))

    assert max(waited) < governors.PATIENCE_SECONDS + 0.5
    assert sum(seconds < 0.1 for seconds in waited) >= 10  # the waiting room has four places for one tenant
    assert len({round(seconds, 1) for seconds in told if seconds}) > 5  # each is told a time of its own


def learned_rate(budget: SharedBudget) -> float:
    return min(state.learned_per_second for state in budget.look())
