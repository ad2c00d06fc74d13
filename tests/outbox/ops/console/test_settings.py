"""The console starts only with a key it can trust, and the login form exists only on a developer's machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from db.session import Database
from messages.runtime.settings import EX_CONFIG, AppEnv
from outbox.ops.console.__main__ import login_of
from outbox.ops.console.app import app
from outbox.ops.console.auth.login import hashed
from tests import tokens
from tests.outbox.ops.console.conftest import console_settings, hidden_fields, services_of
from tests.tokens import Keys


@pytest.mark.parametrize("content", [None, "", "no key at all", "private"])
def test_a_missing_or_wrong_public_key_stops_the_start(tmp_path: Path, keys: Keys, content: str | None) -> None:
    file = tmp_path / "key.pem"
    if content is not None:
        file.write_text(keys.private.decode() if content == "private" else content)
    settings = {
        "APP_ENV": "staging",
        "CONSOLE_PORT": "1",
        "CONSOLE_JWT_PUBLIC_KEY_FILE": str(file),
        "CONSOLE_JWT_ISSUER": "https://id.example",
        "CONSOLE_JWT_AUDIENCE": "fleet-console",
    }

    started = subprocess.run(
        [sys.executable, "-m", "outbox.ops.console"],
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode == EX_CONFIG
    assert "CONSOLE_JWT_PUBLIC_KEY_FILE" in started.stderr
    assert "PRIVATE KEY" not in started.stderr


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="2048 bits or more"):
        console_settings(tokens.new_keys(tmp_path, bits=1024))


@pytest.mark.parametrize("app_env", ["test", "staging", "production"])
def test_login_files_are_refused_outside_of_local(keys: Keys, app_env: str) -> None:
    with pytest.raises(ValidationError, match="only for APP_ENV=local"):
        console_settings(keys, app_env=app_env, console_signing_key_file=keys.private_file)
    with pytest.raises(ValidationError, match="required for the login form"):
        console_settings(keys, app_env="local")


def test_the_login_form_does_not_exist_elsewhere(nobody: TestClient) -> None:
    assert nobody.get("/login").status_code == 404
    assert nobody.post("/login", data={"name": "oda", "password": "x"}).status_code == 404


@pytest.fixture(scope="module")
def stored_password() -> str:
    """Hashed once: it is made to be slow."""
    return hashed("open sesame")


@pytest.fixture
def local(db: Database, keys: Keys, seal: tuple[str, str], stored_password: str, tmp_path: Path) -> Any:
    people = {"oda": {"roles": ["operator"], "password": stored_password}}
    (tmp_path / "users.json").write_text(json.dumps(people))
    files = {"console_users_file": tmp_path / "users.json", "console_signing_key_file": keys.private_file}
    settings = console_settings(keys, app_env="local", **files)
    services = services_of(db, settings, seal, login_of(settings))
    with TestClient(app(services, AppEnv.LOCAL), base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


def send_login(client: TestClient, **fields: str) -> Any:
    token = hidden_fields(client.get("/login").text)["csrf_token"]
    return client.post("/login", data={"csrf_token": token} | fields)


def test_a_person_of_the_file_logs_in_and_goes_on_to_where_they_were_going(local: TestClient) -> None:
    sent = local.get("/queues", headers={"accept": "text/html"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=%2Fqueues")

    answer = send_login(local, name="oda", password="open sesame", next="/queues")

    assert answer.headers["location"] == "/queues"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert local.get("/queues").status_code == 200
    token = hidden_fields(local.get("/queues").text)["csrf_token"]
    local.post("/logout", data={"csrf_token": token})
    assert local.get("/queues", headers={"accept": "application/json"}).status_code == 401


@pytest.mark.parametrize(("name", "password"), [("oda", "wrong"), ("nobody", "open sesame"), ("", "")])
def test_a_wrong_name_or_password_opens_nothing(local: TestClient, name: str, password: str) -> None:
    answer = send_login(local, name=name, password=password)

    assert answer.status_code == 401
    assert "fleet_console" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("onward", ["https://evil.example", "//evil.example", "/\\evil.example", ""])
def test_the_login_sends_nobody_to_another_site(local: TestClient, onward: str) -> None:
    assert send_login(local, name="oda", password="open sesame", next=onward).headers["location"] == "/"


def test_a_login_form_cannot_be_forged_either(local: TestClient) -> None:
    assert local.post("/login", data={"name": "oda", "password": "open sesame"}).status_code == 403


def test_a_page_that_polls_is_sent_to_the_login_as_a_whole(local: TestClient) -> None:
    answer = local.get("/live", headers={"hx-request": "true", "accept": "text/html"})

    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")
