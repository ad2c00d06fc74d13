"""The console of one test: its keys, its people and its pages, over this test's database."""

from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from playwright.sync_api import Browser as Chromium
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db.session import Database
from messages.runtime.settings import AppEnv
from outbox.broker import topology
from outbox.ops.console.app import app
from outbox.ops.console.auth import csrf
from outbox.ops.console.auth.csrf import CsrfProtection
from outbox.ops.console.auth.login import Login
from outbox.ops.console.auth.tokens import Authenticator
from outbox.ops.console.rendering import environment
from outbox.ops.console.request_context import Services
from outbox.ops.console.sampler import Sampler
from outbox.ops.console.settings import ConsoleSettings
from outbox.ops.session import OpsSettings
from outbox.sealing import Sealer, SealSettings, new_pair
from tests import tokens
from tests.outbox.ops.console import browser as browsing
from tests.tokens import Keys

APPROVAL_ABOVE_MINOR = 10_000


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return tokens.new_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def console(keys: Keys) -> ConsoleSettings:
    return console_settings(keys)


def console_settings(keys: Keys, **changes: Any) -> ConsoleSettings:
    """Of a deployed console, unless the environment is local."""
    fields: dict[str, Any] = {
        "app_env": "test",
        "console_port": 1,
        "console_jwt_public_key_file": keys.public_file,
        "console_jwt_issuer": tokens.ISSUER,
        "console_jwt_audience": tokens.AUDIENCE,
    }
    return ConsoleSettings(**(fields | changes))


@pytest.fixture
def seal() -> tuple[str, str]:
    """Public, private."""
    return new_pair()


def services_of(db: Database, settings: ConsoleSettings, seal: tuple[str, str], login: Login | None = None) -> Services:
    ops = OpsSettings(app_env=settings.app_env, replay_approval_minor=APPROVAL_ABOVE_MINOR)
    sealer = Sealer(SealSettings(app_env=settings.app_env, dead_letter_public_key=seal[0]))
    authenticator = Authenticator(settings)
    watch = Sampler(db, lambda: dict.fromkeys([queue.name for queue in topology.queues()], 0) | {"charges": 3})
    return Services(db, ops, sealer, authenticator, CsrfProtection(authenticator), watch, environment(), login)


@pytest.fixture
def services(db: Database, console: ConsoleSettings, seal: tuple[str, str]) -> Services:
    return services_of(db, console, seal)


@pytest.fixture
def application(services: Services) -> Starlette:
    return app(services, AppEnv.TEST)


@dataclass
class Browser:
    """A client that keeps cookies, follows forms, and is somebody."""

    client: TestClient
    name: str

    def get(self, path: str, **headers: str) -> Response:
        return self.client.get(path, headers={"accept": "text/html", **headers})

    def post(self, path: str, fields: dict[str, Any] | None = None, *, onto: str | None = None) -> Response:
        """Send a form: from this page, or as a page with a form for this person would."""
        if onto is not None:
            token = hidden_fields(self.get(onto).text)["csrf_token"]
        else:
            self.get("/live")
            token = csrf.token_for(self.client.cookies["fleet_csrf"], self.name)
        data = {"csrf_token": token} | (fields or {})
        return self.client.post(path, data=data, headers={"accept": "text/html"})


def hidden_fields(page: str) -> dict[str, str]:
    found: dict[str, str] = {}

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            if tag == "input" and given.get("type") == "hidden":
                found[given["name"] or ""] = given["value"] or ""

    Reader().feed(page)
    return found


@pytest.fixture
def clients(application: Starlette) -> Iterator[list[TestClient]]:
    made: list[TestClient] = []
    yield made
    for client in made:
        client.close()


@pytest.fixture
def as_(application: Starlette, keys: Keys, clients: list[TestClient]) -> Any:
    """`as_("oda", "operator")`: a browser of that person."""

    def person(name: str, *roles: str) -> Browser:
        client = TestClient(application, base_url="http://127.0.0.1", follow_redirects=False)
        client.cookies.set("fleet_console", tokens.token(keys, sub=name, roles=list(roles)))
        clients.append(client)
        return Browser(client, name)

    return person


@pytest.fixture
def nobody(application: Starlette, clients: list[TestClient]) -> TestClient:
    clients.append(TestClient(application, base_url="http://127.0.0.1", follow_redirects=False))
    return clients[-1]


@pytest.fixture
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outside the tree; pytest keeps the last three."""
    return tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """Gone with its file: while it runs, Playwright has an event loop in this thread, and asyncio allows no second."""
    with browsing.chromium() as running:
        yield running


@pytest.fixture
def local_services(db: Database, keys: Keys, seal: tuple[str, str], tmp_path: Path) -> Services:
    (tmp_path / "users.json").write_text("{}")
    files = {"console_users_file": tmp_path / "users.json", "console_signing_key_file": keys.private_file}
    settings = console_settings(keys, app_env="local", **files)
    return services_of(db, settings, seal, browsing.login(settings))
