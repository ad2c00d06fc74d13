"""Limits of time and of waiting: whoever is slow or many is told so, and webhooks never wait for the API."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from starlette.requests import Request

from db.tenants.tenants import Tenant
from outbox.intake.api import request_body, thread_pool
from outbox.intake.api.thread_pool import WAITING_PER_THREAD, ThreadPool
from outbox.web.problem_details import Problem
from tests import signing
from tests.outbox.intake.api import server
from tests.outbox.intake.api.conftest import order
from tests.outbox.intake.api.server import Server, Somebody
from tests.outbox.intake.api.test_payments import assert_problem, count
from tests.tokens import Keys
from tests.waiting import until


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_SECONDS", 0.05)

    async def silence() -> Any:
        await asyncio.Event().wait()

    with pytest.raises(Problem) as told:
        asyncio.run(request_body.body_of(Request({"type": "http", "method": "POST", "headers": []}, silence)))

    assert told.value.status == 408


@contextmanager
def busy(threads: int) -> Iterator[tuple[ThreadPool, Callable[[], None]]]:
    """A bench, and work that waits until the block is left."""
    over = threading.Event()
    working = ThreadPool(threads)
    try:
        yield working, lambda: (over.wait(10), None)[1]
    finally:
        over.set()
        working.close()


def test_when_too_many_wait_the_next_is_sent_away_at_once() -> None:
    async def crowd(working: ThreadPool, work: Callable[[], None]) -> list[int]:
        most = 2 * (1 + WAITING_PER_THREAD)
        waiting = [asyncio.ensure_future(working.run(work)) for _ in range(most + 3)]
        done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
        return [told.status for task in done if isinstance(told := task.exception(), Problem)]

    with busy(2) as (working, work):
        assert asyncio.run(crowd(working, work)) == [503] * 3


def test_work_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_pool, "WORK_SECONDS", 0.05)

    with busy(1) as (working, work), pytest.raises(Problem) as told:
        asyncio.run(working.run(work))

    assert told.value.status == 503
    assert told.value.headers["Retry-After"] == "1"


def test_webhooks_do_not_wait_for_an_api_that_is_stuck(
    environment: dict[str, str], keys: Keys, owner: psycopg.Connection, tenant: Tenant, tmp_path: Path
) -> None:
    with Server.of(environment, tmp_path) as running, httpx.Client(base_url=running.url, timeout=30) as http:
        staff = Somebody(http, server.token(keys, tenant.tenant_id, "venue_staff"))
        with ThreadPoolExecutor(12) as pool:
            with owner.transaction():
                owner.execute("LOCK TABLE api_requests")
                stuck = [pool.submit(staff.post, "/payments", order(tenant)) for _ in range(12)]
                until(lambda: waiting_for_a_lock(owner) == 4)  # all threads of the API

                body = signing.raw(signing.event())
                webhook = http.post(
                    "/webhooks/stripe", content=body, headers={"Stripe-Signature": signing.header(body)}
                )

                assert webhook.status_code == 204
                assert webhook.elapsed.total_seconds() < 2
                assert not any(request.done() for request in stuck)
            answers = [request.result() for request in stuck]

    assert {answer.status_code for answer in answers} <= {202, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert_problem(answer, 503)
    assert count(owner, "payments") == [answer.status_code for answer in answers].count(202)


def waiting_for_a_lock(owner: psycopg.Connection) -> int:
    row = owner.execute(
        "SELECT count(*) FROM pg_locks WHERE relation = 'api_requests'::regclass AND NOT granted"
    ).fetchone()
    assert row is not None
    return int(row[0])
