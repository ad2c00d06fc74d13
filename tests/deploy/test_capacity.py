"""`fleet capacity` reckons with the measured table, and says what breaks first."""

import json
import subprocess
import sys
from typing import Any

import pytest
from honcho.environ import parse_procfile

from deploy.capacity.plan import Plan, Site, measured, plan
from deploy.local.stack.stack import CLONE
from deploy.scaling.policy import read_policies
from stripe_client.settings import ENDPOINT_PER_SECOND, LIVE_PER_SECOND

ROOMY = Site(10_000, 10_000, database_cores=64, broker_cores=64, database_connections=5_000)


def test_every_process_of_the_procfile_was_measured() -> None:
    names = set(parse_procfile((CLONE / "Procfile").read_text()).processes)

    assert names <= set(measured()["cpu_ms_per_payment"])
    assert names == set(measured()["memory_mib"])
    assert measured()["stripe_requests_per_payment"]["POST payment_intents"] == pytest.approx(1.0, abs=0.05)


def test_with_stripes_usual_limits_an_on_sale_breaks_at_the_endpoint_that_charges() -> None:
    found = plan(200.0, Site(), measured())

    assert Site().stripe_endpoint_per_second == ENDPOINT_PER_SECOND
    assert Site().stripe_per_second == LIVE_PER_SECOND
    assert found.breaks_first.name == "Stripe, the endpoint that charges"
    assert found.breaks_first.most_per_second == pytest.approx(25.0)
    assert not found.holds


def test_what_stripe_lets_through_by_default_is_stood() -> None:
    assert plan(25.0, Site(), measured()).holds


def test_with_everything_raised_the_manifests_own_bound_breaks_first_and_says_where_to_raise_it() -> None:
    found = plan(400.0, ROOMY, measured())

    assert found.breaks_first.name == "workers-charges"
    assert found.breaks_first.most_per_second == pytest.approx(
        read_policies()["workers-charges"].most * 8 / (0.68 + 0.0026), rel=0.02
    )
    assert "scaling.yaml" in found.breaks_first.advice


def test_twice_the_orders_need_twice_the_hands_for_charges_and_never_less_than_two_of_anything_that_must_stay() -> None:
    few, many = plan(100.0, ROOMY, measured()), plan(200.0, ROOMY, measured())

    assert many.pods["workers-charges"] == pytest.approx(2 * few.pods["workers-charges"], abs=1)
    assert all(count >= 2 for name, count in few.pods.items() if name != "dead-letters")
    assert set(few.pods) >= {f"workers-{name}" for name in ("charges", "refunds", "webhooks", "background")}


def test_transfers_lag_behind_a_sale_and_break_nothing_but_are_counted_in_cores_and_requests() -> None:
    without, with_two = (plan(40.0, Site(10_000, 60, recipients=count), measured()) for count in (0, 2))
    lagging = {bound.name: bound for bound in with_two.bounds if bound.can_wait}

    assert set(lagging) == {"Stripe, the endpoint of transfers", "workers-background"}
    assert lagging["Stripe, the endpoint of transfers"].most_per_second == pytest.approx(30.0)
    assert with_two.holds
    assert with_two.pods["workers-background"] == read_policies()["workers-background"].most
    assert not any(bound.can_wait for bound in without.bounds)
    more = _bound(without, "Stripe, the account") - _bound(with_two, "Stripe, the account")
    assert more > 0 < _bound(without, "PostgreSQL CPU") - _bound(with_two, "PostgreSQL CPU")


def _bound(found: Plan, name: str) -> float:
    return next(bound.most_per_second for bound in found.bounds if bound.name == name)


def test_what_the_database_connections_stand_does_not_depend_on_how_many_orders_are_asked_for() -> None:
    few, many = (
        next(bound for bound in plan(rate, Site(), measured()).bounds if bound.name == "PostgreSQL connections")
        for rate in (1.0, 5_000.0)
    )

    assert few.most_per_second == many.most_per_second > 0
    assert plan(few.most_per_second, Site(), measured()).bounds[-1].needed <= f"{Site().database_connections}"


def test_every_process_of_the_procfile_has_pods() -> None:
    names = set(parse_procfile((CLONE / "Procfile").read_text()).processes) - {"workers"}

    assert names <= set(plan(1.0, Site(), measured()).pods)


def test_the_command_prints_json_and_leaves_with_one_when_something_breaks() -> None:
    broken, held = (_capacity("--orders-per-second", rate) for rate in ("200", "20"))

    assert (broken.returncode, held.returncode) == (1, 0)
    said: dict[str, Any] = json.loads(broken.stdout)
    assert said["breaks_first"] == "Stripe, the endpoint that charges"
    assert said["measured"] == "python -m deploy.local.bench.capacity"
    assert said["assumed"]["stripe_seconds"] == 0.68


def _capacity(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deploy.cli", "capacity", *words, "--json"]
    return subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=False)
