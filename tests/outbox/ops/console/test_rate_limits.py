"""The page of the budget: what is read from the real Valkey, and pauses that are decided here."""

import re
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from starlette.applications import Starlette

from db.operators import log as operator_log
from db.session import Database
from db.tenants import pauses
from deploy.local.stack.stack import Stack
from messages.ids import TenantId
from messages.runtime.priority import Requester
from messages.runtime.settings import AppEnv
from outbox.ops.console.app import app
from outbox.ops.console.request_context import Services
from stripe_client.rate_limit.shared_budget import SharedBudget
from tests.outbox.ops.console.scene import Scene


@pytest.fixture
def scene(db: Database, owner: psycopg.Connection, seal: tuple[str, str]) -> Scene:
    return Scene.set(db, owner, seal[0])


@pytest.fixture
def budget(stack: Stack) -> SharedBudget:
    return SharedBudget.at(stack.valkey.url, name=f"test-{uuid4().hex[:12]}")


@pytest.fixture
def application(services: Services, budget: SharedBudget) -> Starlette:
    return app(replace(services, read_buckets=budget.look), AppEnv.TEST)


def test_the_page_shows_rates_and_who_uses_them(as_: Any, scene: Scene, budget: SharedBudget) -> None:
    budget.take("payment_intents", Requester(TenantId(scene.tenants[0].tenant_id)), 3, (25.0, 25.0))
    budget.cut("payment_intents", 25.0)

    page = as_("rita", "reader").get("/budget").text

    assert "whole account" in page
    assert "payment intents" in page
    assert re.search(r"reduced [\d.]+ s ago", page)
    assert "Rhine Arena" in page
    assert "Pause a tenant or venue" not in page  # a reader sees, and decides nothing


def test_an_unreachable_cache_is_shown_and_the_page_still_works(as_: Any, budget: SharedBudget) -> None:
    budget._client = SharedBudget.at("redis://127.0.0.1:1/0")._client

    assert "The cache is unreachable" in as_("rita", "reader").get("/budget").text


def test_an_operator_pauses_and_lifts_from_the_page(as_: Any, db: Database, scene: Scene) -> None:
    oda, tenant = as_("oda", "operator"), scene.tenants[1]
    target = f"{tenant.tenant_id}/{tenant.venues[0].venue_id}"

    fields = {"target": target, "what": "all", "span": "1 hour", "reason": "a bot"}
    answer = oda.post("/budget/pauses", fields, onto="/budget")
    held = in_force(db)
    assert answer.headers["location"] == "/budget?done=paused"
    assert [(each.venue_id, each.what, each.paused_by) for each in held] == [(tenant.venues[0].venue_id, "all", "oda")]
    assert "Great Hall of Harbour Hall" in oda.get("/budget").text
    oda.post(f"/budget/pauses/{held[0].pause_id}/lift", {"reason": "gone"}, onto="/budget")

    assert in_force(db) == []
    with db.ops_transaction() as tx:
        actions = [(entry.action, entry.reason) for entry in operator_log.latest(tx, limit=5)]
    assert actions == [("lift", "gone"), ("pause", "a bot")]


@pytest.mark.parametrize(
    ("target", "reason", "status"), [("", "x", 422), (str(UUID(int=1)), "x", 409), (None, "", 409)]
)
def test_a_pause_without_a_target_or_a_reason_is_refused(
    as_: Any, scene: Scene, target: str | None, reason: str, status: int
) -> None:
    fields = {
        "target": str(scene.tenants[0].tenant_id) if target is None else target,
        "what": "charges",
        "reason": reason,
    }

    assert as_("oda", "operator").post("/budget/pauses", fields, onto="/budget").status_code == status


def in_force(db: Database) -> list[pauses.Pause]:
    with db.ops_transaction() as tx:
        return pauses.in_force(tx)
