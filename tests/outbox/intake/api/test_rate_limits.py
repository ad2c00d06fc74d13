"""How often a caller may ask: counted together in Valkey, alone without it, and never an error."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
import redis
from loguru import logger
from starlette.testclient import TestClient

from db.tenants.tenants import Tenant
from deploy.local.stripe.process import free_port
from outbox.intake.api import cache
from tests.outbox.intake.api.conftest import As, MakeApi, order
from tests.outbox.intake.api.test_payments import assert_problem

NOWHERE = f"/payments/{uuid4()}"


@pytest.fixture
def lines() -> Iterator[list[str]]:
    said: list[str] = []
    sink = logger.add(lambda message: said.append(message.record["message"]))
    yield said
    logger.remove(sink)


def test_each_answer_tells_how_much_room_is_left(as_: As, make_api: MakeApi) -> None:
    finance = as_("finance", through=make_api(api_requests_per_minute=3))

    headers = finance.get(NOWHERE).headers

    assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("3", "2")
    assert headers["ratelimit-policy"] == "3;w=60"
    assert 1 <= int(headers["ratelimit-reset"]) <= 60


def test_a_full_window_is_told_with_when_to_come_back(as_: As, make_api: MakeApi) -> None:
    finance = as_("finance", through=make_api(api_requests_per_minute=3))

    answers = [finance.get(NOWHERE) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 429, 429]
    assert_problem(answers[-1], 429, "too-many-requests")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].headers["ratelimit-remaining"] == "0"


def test_payments_have_a_smaller_window_of_their_own(as_: As, make_api: MakeApi, tenant: Tenant) -> None:
    staff = as_("venue_staff", through=make_api(api_payments_per_minute=2))

    statuses = [staff.post("/payments", order(tenant)).status_code for _ in range(3)]

    assert statuses == [202, 202, 429]
    assert staff.get(NOWHERE).status_code == 404


def test_windows_belong_to_one_user_of_one_tenant(
    as_: As, make_api: MakeApi, tenant: Tenant, neighbour: Tenant
) -> None:
    client = make_api(api_requests_per_minute=1)
    callers = [
        as_("finance", sub="ann", through=client),
        as_("finance", sub="bob", through=client),
        as_("finance", sub="ann", of=neighbour, through=client),
    ]

    assert [caller.get(NOWHERE).status_code for caller in callers] == [404] * 3
    assert [caller.get(NOWHERE).status_code for caller in callers] == [429] * 3


def test_two_processes_count_together(as_: As, make_api: MakeApi) -> None:
    one, other = (as_("finance", through=make_api(api_requests_per_minute=2)) for _ in range(2))

    assert [one.get(NOWHERE).status_code, other.get(NOWHERE).status_code] == [404, 404]
    assert [one.get(NOWHERE).status_code, other.get(NOWHERE).status_code] == [429, 429]


def test_without_valkey_a_process_counts_alone_and_says_so_once(
    as_: As, make_api: MakeApi, lines: list[str], tenant: Tenant
) -> None:
    away = make_api(cache=f"redis://127.0.0.1:{free_port()}/0", api_requests_per_minute=3)
    staff = as_("venue_staff", through=away)

    statuses = [staff.post("/payments", order(tenant)).status_code for _ in range(5)]

    assert statuses == [202, 202, 202, 429, 429]
    assert len([line for line in lines if line.startswith("Valkey unavailable")]) == 1


def test_when_valkey_is_wiped_the_count_begins_anew(as_: As, make_api: MakeApi, valkey: redis.Redis) -> None:
    finance = as_("finance", through=make_api(api_requests_per_minute=1))
    assert [finance.get(NOWHERE).status_code for _ in range(2)] == [404, 429]

    valkey.flushall()

    assert finance.get(NOWHERE).status_code == 404


def test_when_valkey_is_back_it_is_asked_again(
    as_: As, client: TestClient, lines: list[str], monkeypatch: pytest.MonkeyPatch, valkey: redis.Redis
) -> None:
    monkeypatch.setattr(cache, "REST_SECONDS", 0.0)
    finance = replace(as_("finance"), client=client)
    valkey.execute_command("CLIENT PAUSE", "10000", "WRITE")

    during = finance.get(NOWHERE)
    valkey.execute_command("CLIENT UNPAUSE")
    after = finance.get(NOWHERE)

    assert (during.status_code, after.status_code) == (404, 404)
    assert [line.split(" (")[0].split(":")[0] for line in lines if line.startswith("Valkey")] == [
        "Valkey unavailable",
        "Valkey available again",
    ]
