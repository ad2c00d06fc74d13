"""Who may come in, with which token, and what each role may do."""

import re
import time
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

from db.session import Database
from outbox.ops.console.app import DECISIONS, PAGES
from tests import tokens
from tests.outbox.ops.console.scene import Scene
from tests.tokens import Keys

NO_ID = "01a2066c-d866-75d2-acea-a1254c0933ad"


def asking(client: TestClient, token: str | None, path: str = "/payments", **headers: str) -> int:
    given = {"authorization": f"Bearer {token}"} if token is not None else {}
    return client.get(path, headers=given | headers).status_code


def test_a_good_token_opens_the_door_as_header_and_as_cookie(nobody: TestClient, keys: Keys) -> None:
    assert asking(nobody, tokens.token(keys)) == 200

    nobody.cookies.set("fleet_console", tokens.token(keys))
    assert asking(nobody, None) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 3600},
        {"iss": "https://somebody.else"},
        {"aud": "another-service"},
        {"sub": ""},
        {"sub": "two\nlines"},
        {"without": "exp"},
        {"without": "sub"},
        {"without": "aud"},
        {"nbf": int(time.time()) + 3600},
    ],
)
def test_a_token_that_does_not_hold_is_refused(nobody: TestClient, keys: Keys, changes: dict[str, Any]) -> None:
    assert asking(nobody, tokens.token(keys, **changes)) == 401


def test_a_token_cannot_choose_its_own_algorithm(nobody: TestClient, keys: Keys) -> None:
    public = keys.public_file.read_bytes()

    unsigned = tokens.token(keys, algorithm="none", key="")
    signed_with_the_public_key = tokens.hs256_by_hand(tokens.token(keys), public)

    assert asking(nobody, unsigned) == 401
    assert asking(nobody, signed_with_the_public_key) == 401
    assert asking(nobody, tokens.token(keys, algorithm="RS512")) == 401


def test_a_token_of_another_key_is_refused(
    nobody: TestClient, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tokens.new_keys(tmp_path_factory.mktemp("other"))

    assert asking(nobody, tokens.token(other)) == 401


def test_nobody_sees_a_page_or_decides_anything(nobody: TestClient) -> None:
    for path in PAGES:
        assert asking(nobody, None, concrete(path)) == 401, path
    for path in DECISIONS:
        assert nobody.post(concrete(path)).status_code == 401, path


def test_a_token_without_a_role_sees_nothing(nobody: TestClient, keys: Keys) -> None:
    assert asking(nobody, tokens.token(keys, roles=[])) == 403
    assert asking(nobody, tokens.token(keys, roles="operator")) == 403
    assert asking(nobody, tokens.token(keys, roles=["owner"])) == 403


@pytest.mark.parametrize("role", ["reader", "operator", "approver"])
def test_each_role_decides_only_what_is_its_own(as_: Any, role: str) -> None:
    person = as_("pat", role)

    for path, (_, needed) in DECISIONS.items():
        status = person.post(concrete(path), {"reason": "because"}).status_code
        assert (status == 403) == (needed.value != role), path


def test_only_an_operator_is_offered_decisions(as_: Any, db: Database, owner: psycopg.Connection, seal: Any) -> None:
    letter = Scene.set(db, owner, seal[0]).dead_charge()

    assert "Preview a replay" not in as_("rita", "reader").get(f"/dead-letters/{letter}").text
    assert "Preview a replay" in as_("oda", "operator").get(f"/dead-letters/{letter}").text
    assert as_("rita", "reader").get(f"/dead-letters/{letter}/edit").status_code == 403


def test_a_program_gets_problem_json_and_a_browser_gets_a_page(nobody: TestClient, keys: Keys) -> None:
    for_a_program = nobody.get("/payments", headers={"accept": "application/json"})
    for_a_browser = nobody.get("/payments", headers={"accept": "text/html"})

    assert for_a_program.status_code == for_a_browser.status_code == 401
    assert for_a_program.headers["content-type"] == "application/problem+json"
    assert for_a_program.json()["detail"] == "not logged in"
    assert for_a_program.headers["www-authenticate"] == for_a_browser.headers["www-authenticate"] == "Bearer"
    assert "<h1>Unauthorized</h1>" in for_a_browser.text
    missing = nobody.get("/nowhere", headers={"accept": "application/json"})
    assert (missing.status_code, missing.json()["detail"]) == (404, "page not found")


def concrete(path: str) -> str:
    return re.sub(r"\{\w+:uuid\}", NO_ID, path)
