"""One key, one answer: whatever is repeated, parallel, killed, wiped or away."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest
import redis

from db import idempotency_keys
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.process import free_port
from messages.runtime import crash_points
from outbox import scheduler
from outbox.intake.api.idempotency import REPLAYED
from tests.outbox.intake.api import server
from tests.outbox.intake.api.conftest import As, MakeApi, order
from tests.outbox.intake.api.server import Server, Somebody
from tests.outbox.intake.api.test_payments import assert_problem, count
from tests.tokens import Keys
from tests.waiting import until


def test_the_same_request_gets_the_same_answer_to_the_byte(
    as_: As, owner: psycopg.Connection, tenant: Tenant, valkey: redis.Redis
) -> None:
    body, staff = order(tenant), as_("venue_staff")

    first = staff.post("/payments", body, key="click-1")
    second = staff.post("/payments", dict(reversed(body.items())), key="click-1")

    assert (first.status_code, first.headers.get(REPLAYED)) == (202, None)
    assert (second.status_code, second.headers.get(REPLAYED)) == (202, "true")
    assert second.content == first.content
    assert second.headers["location"] == first.headers["location"]
    assert count(owner, "payments") == count(owner, "outbox") == 1


def test_another_request_under_the_key_is_refused_and_changes_nothing(
    as_: As, db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    staff = as_("venue_staff")
    staff.post("/payments", order(tenant), key="click-1")
    quote = {"venue_id": str(tenant.venues[0].venue_id), "amount": {"minor": 1, "currency": "eur"}}

    for path, body in (("/payments", order(tenant)), ("/fees/quote", quote)):
        assert_problem(staff.post(path, body, key="click-1"), 422, "idempotency-key-reused")

    assert count(owner, "payments") == count(owner, "api_requests") == 1


def test_a_key_belongs_to_one_user_of_one_tenant(as_: As, tenant: Tenant, neighbour: Tenant) -> None:
    callers = [
        (as_("venue_staff", sub="ann"), tenant),
        (as_("venue_staff", sub="bob"), tenant),
        (as_("venue_staff", sub="ann", of=neighbour), neighbour),
    ]

    answers = [caller.post("/payments", order(of), key="click-1") for caller, of in callers]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.json()["payment_id"] for answer in answers}) == 3


@pytest.mark.parametrize("key", [None, "", "two words", "x" * 201, "é"])
def test_a_post_without_a_key_that_can_be_kept_does_nothing(
    client: httpx.Client, as_: As, owner: psycopg.Connection, tenant: Tenant, key: str | None
) -> None:
    headers = {b"Authorization": f"Bearer {as_('venue_staff').token}".encode()}
    headers |= {} if key is None else {b"Idempotency-Key": key.encode("latin-1")}

    answer = client.post("/payments", json=order(tenant), headers=headers)  # type: ignore[arg-type]

    assert_problem(answer, 400)
    assert count(owner, "payments") == 0


def test_while_one_is_being_worked_on_another_is_told_to_come_back(
    as_: As, db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    body, staff = order(tenant), as_("venue_staff")
    with db.transaction(tenant.tenant_id) as tx:
        assert idempotency_keys.claim(tx, caller="fiona", key="click-1")

        answer = staff.post("/payments", body, key="click-1")

    assert_problem(answer, 409, "request-in-progress")
    assert answer.headers["retry-after"] == "1"
    assert staff.post("/payments", body, key="click-1").status_code == 202
    assert count(owner, "payments") == 1


def test_success_is_kept_for_a_day_and_a_clients_error_for_an_hour(
    as_: As, owner: psycopg.Connection, tenant: Tenant
) -> None:
    staff = as_("venue_staff")
    staff.post("/payments", order(tenant), key="good")
    staff.post("/payments", order(tenant) | {"tickets": []}, key="bad")

    kept = owner.execute(
        "SELECT idempotency_key, status, round(extract(epoch FROM expires_at - answered_at) / 60) FROM api_requests"
    ).fetchall()

    assert {(key, status, int(minutes)) for key, status, minutes in kept} == {("good", 202, 1440), ("bad", 422, 60)}


def test_a_clients_error_is_replayed_too(as_: As, tenant: Tenant) -> None:
    body, staff = order(tenant) | {"tickets": []}, as_("venue_staff")

    first, second = (staff.post("/payments", body, key="bad") for _ in range(2))

    assert first.content == second.content
    assert_problem(second, 422, "body-invalid")
    assert second.headers[REPLAYED] == "true"


@pytest.mark.parametrize("refusal", ["out of reach", "tax"])
def test_what_is_about_the_caller_or_about_us_leaves_the_key_free(
    as_: As, owner: psycopg.Connection, tenant: Tenant, refusal: str
) -> None:
    body = order(tenant)
    quote = {"venue_id": body["venue_id"], "amount": body["amount"]}
    if refusal == "tax":
        assert as_("service", scope="tax:quote").post("/internal/tax/quote", quote, key="k").status_code == 501
    else:
        assert as_("venue_staff", venues=[]).post("/payments", body, key="k").status_code == 403

    assert count(owner, "api_requests") == 0
    assert as_("venue_staff").post("/payments", body, key="k").status_code == 202


def test_an_answer_whose_time_is_over_makes_room_for_another(
    as_: As, owner: psycopg.Connection, tenant: Tenant, valkey: redis.Redis
) -> None:
    staff = as_("venue_staff")
    staff.post("/payments", order(tenant), key="click-1")
    assert [0 < ttl <= 86_400 for ttl in map(valkey.ttl, valkey.keys("fleet:api:answer:*"))] == [True]
    with owner.transaction():
        owner.execute("ALTER TABLE api_requests DISABLE TRIGGER an_api_answer_stands")
        owner.execute(
            "UPDATE api_requests SET answered_at = answered_at - interval '2 days', expires_at = now() - interval '1 s'"
        )
        owner.execute("ALTER TABLE api_requests ENABLE TRIGGER an_api_answer_stands")
    valkey.flushall()  # as its own clock would have it: the time to live was checked above

    assert staff.post("/payments", order(tenant), key="click-1").status_code == 202

    assert (count(owner, "payments"), count(owner, "api_requests")) == (2, 1)


def test_an_answer_that_stands_cannot_be_written_over_by_anybody(
    as_: As, owner: psycopg.Connection, tenant: Tenant
) -> None:
    as_("venue_staff").post("/payments", order(tenant), key="click-1")

    with pytest.raises(psycopg.errors.RestrictViolation, match="still stands"):
        owner.execute("UPDATE api_requests SET status = 200")


def test_the_scheduler_forgets_in_batches_what_is_over_and_nothing_else(
    as_: As, db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    with db.transaction(tenant.tenant_id) as tx:
        for number in range(25):
            keep(tx, f"old-{number}", seconds=0.001)
        keep(tx, "young", seconds=60)

    scheduler.forget_answers(db, at_once=10)

    assert owner.execute("SELECT idempotency_key FROM api_requests").fetchall() == [("young",)]


@pytest.mark.parametrize("trouble", ["wiped", "garbled", "away"])
def test_without_valkeys_memory_the_book_knows(
    as_: As, make_api: MakeApi, owner: psycopg.Connection, tenant: Tenant, valkey: redis.Redis, trouble: str
) -> None:
    body, staff = order(tenant), as_("venue_staff")
    first = staff.post("/payments", body, key="click-1")
    [name] = valkey.keys("fleet:api:answer:*")

    match trouble:
        case "wiped":
            valkey.flushall()
        case "garbled":
            valkey.set(name, b'{"fingerprint": "00"}')
        case "away":
            staff = replace(staff, client=make_api(cache=f"redis://127.0.0.1:{free_port()}/0"))
    again = staff.post("/payments", body, key="click-1")

    assert (again.status_code, again.headers[REPLAYED], again.content) == (202, "true", first.content)
    assert_problem(staff.post("/payments", order(tenant), key="click-1"), 422, "idempotency-key-reused")
    assert count(owner, "payments") == 1


def test_a_remembered_answer_needs_no_database(
    as_: As, tenant: Tenant, valkey: redis.Redis, database_away: Any
) -> None:
    body, staff = order(tenant), as_("venue_staff")
    first = staff.post("/payments", body, key="click-1")

    with database_away():
        again = staff.post("/payments", body, key="click-1")

    assert again.content == first.content


def test_fifty_parallel_posts_with_one_key_make_one_payment(
    environment: dict[str, str],
    keys: Keys,
    owner: psycopg.Connection,
    tenant: Tenant,
    valkey: redis.Redis,
    tmp_path: Path,
) -> None:
    body = order(tenant)
    with Server.of(environment, tmp_path) as running, httpx.Client(base_url=running.url, timeout=20) as http:
        staff = Somebody(http, server.token(keys, tenant.tenant_id, "venue_staff"))

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: staff.post("/payments", body, key="click-1"), range(50)))
            valkey.flushall()
            answers += list(pool.map(lambda _: staff.post("/payments", body, key="click-1"), range(10)))

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {202, 409}
    taken = [answer for answer in answers if answer.status_code == 202]
    assert len({answer.content for answer in taken}) == 1
    assert [REPLAYED in answer.headers for answer in taken].count(False) == 1
    assert count(owner, "payments") == count(owner, "outbox") == count(owner, "api_requests") == 1


@pytest.mark.parametrize(("point", "replayed"), [("api.before_commit", False), ("api.after_commit", True)])
def test_killed_between_claim_and_answer_the_same_request_ends_as_one_payment(
    environment: dict[str, str], keys: Keys, owner: psycopg.Connection, tenant: Tenant, tmp_path: Path,
    point: str, replayed: bool,
) -> None:  # fmt: skip
    (crashes := tmp_path / "crashes").mkdir()
    (crashes / point).touch()
    body = order(tenant)
    dying = Server.of(environment | {crash_points.VARIABLE: str(crashes)}, tmp_path)
    with dying, httpx.Client(base_url=dying.url, timeout=20) as http:
        staff = Somebody(http, server.token(keys, tenant.tenant_id, "venue_staff"))
        with pytest.raises(httpx.TransportError):
            staff.post("/payments", body, key="click-1")
        until(dying.died)
        assert count(owner, "payments") == (1 if replayed else 0)

        dying.start()
        again: list[httpx.Response] = []

        def answered() -> bool:
            again.append(staff.post("/payments", body, key="click-1"))
            return again[-1].status_code != 409  # the server notices a dead client within milliseconds

        until(answered)

    assert again[-1].status_code == 202
    assert (REPLAYED in again[-1].headers) == replayed
    assert count(owner, "payments") == count(owner, "outbox") == 1


def keep(tx: Any, key: str, *, seconds: float) -> None:
    answer = {"fingerprint": bytes(32), "status": 202, "location": None, "body": orjson.dumps({})}
    assert idempotency_keys.keep(tx, caller="fiona", key=key, seconds=seconds, **answer)
