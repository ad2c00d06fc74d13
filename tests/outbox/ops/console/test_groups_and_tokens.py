"""The pages of groups and of tokens: lists by state, and one of each with all that happened to it."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db.minting import signers
from db.session import Database
from tests.outbox.ops.console.group_scene import SIGNER, group, queued_token, sent_token
from tests.outbox.ops.console.scene import Scene


@pytest.fixture
def scene(db: Database, owner: psycopg.Connection, seal: tuple[str, str]) -> Scene:
    return Scene.set(db, owner, seal[0])


def test_a_group_is_listed_by_its_state_and_shown_with_shares_payments_and_history(as_: Any, scene: Scene) -> None:
    group_id = group(scene, paying=2)
    rita = as_("rita", "reader")

    page, detail = rita.get("/groups?state=open").text, rita.get(f"/groups/{group_id}").text

    assert f"/groups/{group_id}" in page
    assert "0 of 3" in page
    assert f"/groups/{group_id}" not in rita.get("/groups?state=settled").text
    assert detail.count('href="/payments/') == 4  # each of two shares, and each of two payments
    assert "buyer-2" in detail
    assert detail.partition(">History")[2].count("invited") == 3
    assert f"fleet groups cancel {group_id}" in detail
    assert rita.get(f"/groups/{uuid4()}").status_code == 404


def test_a_ticket_is_listed_with_what_it_waits_for_and_shown_with_its_transactions(as_: Any, scene: Scene) -> None:
    waiting, sent = queued_token(scene), sent_token(scene)
    with scene.db.system_transaction() as tx:
        signers.wait_for(tx, SIGNER, "price: a gas costs 300 gwei, above 200 gwei")
    rita = as_("rita", "reader")

    page, detail = rita.get("/mints").text, rita.get(f"/mints/{sent}").text

    assert f"/mints/{waiting}" in page
    assert "no wallet" in page
    assert "price: a gas costs 300 gwei" in page
    assert "1 mined, 1 queued" in page
    queued = rita.get("/mints?state=queued").text
    assert (f"/mints/{waiting}" in queued, f"/mints/{sent}" in queued) == (True, False)
    assert "0x" + "2b" * 32 in detail  # the version that was mined
    assert "23456789" in detail
    assert [word in detail.partition(">History")[2] for word in ("queued", "submitted", "mined")] == [True] * 3
    assert "No transactions yet" in rita.get(f"/mints/{waiting}").text
    assert rita.get(f"/mints/{uuid4()}").status_code == 404


@pytest.mark.parametrize("path", ["/groups", "/mints"])
def test_a_state_that_nobody_knows_shows_all(as_: Any, scene: Scene, path: str) -> None:
    group_id, ticket_id = group(scene), queued_token(scene)

    page = as_("rita", "reader").get(f"{path}?state=dreaming").text

    assert (str(group_id) in page, str(ticket_id) in page) == (path == "/groups", path == "/mints")
