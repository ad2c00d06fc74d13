"""Whose tokens hold, and whose do not."""

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import ValidationError
from starlette.testclient import TestClient

from db.tenants.tenants import Tenant
from outbox.intake.api import jwks
from outbox.intake.api.jwks import PublishedKeys
from outbox.intake.api.operations import OPERATIONS
from outbox.web.bearer_tokens import BadTokenError, read_private_key, read_public_key
from tests import tokens
from tests.outbox.intake.api import server
from tests.outbox.intake.api.conftest import api_settings
from tests.tokens import Keys

NO_ID = "01a2066c-d866-75d2-acea-a1254c0933ad"


def asking(client: TestClient, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = client.get(f"/payments/{NO_ID}", headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    return answer.status_code


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 3600},
        {"iss": "https://somebody.else"},
        {"aud": "fleet-console"},
        {"nbf": int(time.time()) + 3600},
        {"sub": ""},
        {"sub": "nul\x00nul"},
        {"tenant_id": "no-uuid"},
        {"tenant_id": None},
        {"tenant_id": ["01a2066c-d866-75d2-acea-a1254c0933ad"]},
        {"venues": ["no-uuid"]},
        *({"without": claim} for claim in ("exp", "iat", "iss", "aud", "sub", "tenant_id")),
    ],
)
def test_a_token_that_does_not_hold_is_refused(
    client: TestClient, keys: Keys, tenant: Tenant, changes: dict[str, Any]
) -> None:
    assert asking(client, server.token(keys, tenant.tenant_id, "finance")) == 404
    assert asking(client, server.token(keys, tenant.tenant_id, "finance", **changes)) == 401


def test_a_token_cannot_choose_its_own_algorithm(client: TestClient, keys: Keys, tenant: Tenant) -> None:
    good = server.token(keys, tenant.tenant_id, "finance")

    unsigned = server.token(keys, tenant.tenant_id, "finance", algorithm="none", key="")
    with_the_public_key = tokens.hs256_by_hand(good, keys.public_file.read_bytes())

    assert asking(client, unsigned) == 401
    assert asking(client, with_the_public_key) == 401
    assert asking(client, server.token(keys, tenant.tenant_id, "finance", algorithm="RS512")) == 401
    assert asking(client, good[:-4] + "AAAA") == 401


def test_a_token_of_another_key_is_refused(client: TestClient, tenant: Tenant, tmp_path: Path) -> None:
    other = tokens.new_keys(tmp_path)

    assert asking(client, server.token(other, tenant.tenant_id, "finance")) == 401


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", "Bearer ", "Bearer \xff"])
def test_another_authorization_is_none(client: TestClient, header: str) -> None:
    answer = client.get(f"/payments/{NO_ID}", headers={"Authorization": header.encode("latin-1")})

    assert answer.status_code == 401


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_nothing_is_open_to_nobody_nor_to_a_token_without_a_role(
    client: TestClient, keys: Keys, tenant: Tenant, operation: Any
) -> None:
    path = re.sub(r"\{\w+\}", NO_ID, operation.path)
    roles: tuple[list[str] | str, ...] = ([], ["owner"], "finance", ["service"])

    assert client.request(operation.method, path).status_code == 401
    for role in roles:
        token = server.token(keys, tenant.tenant_id, roles=role)
        answer = client.request(operation.method, path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403, role


@pytest.mark.parametrize("content", ["", "no key at all", "private", "short"])
def test_a_wrong_key_file_stops_the_start(keys: Keys, tmp_path: Path, content: str) -> None:
    file = tmp_path / "key.pem"
    file.write_text(keys.private.decode() if content == "private" else content)
    if content == "short":
        file = tokens.new_keys(tmp_path, bits=1024).public_file

    with pytest.raises(ValidationError, match="api_jwt_public_key_file"):
        api_settings(keys, api_jwt_public_key_file=file)


def test_keys_come_from_exactly_one_place(keys: Keys) -> None:
    with pytest.raises(ValidationError, match="set one of them"):
        api_settings(keys, api_jwks_url="https://id.example/keys")
    with pytest.raises(ValidationError, match="set one of them"):
        api_settings(keys, api_jwt_public_key_file=None)
    with pytest.raises(ValidationError, match="production needs TLS"):
        api_settings(keys, app_env="production", api_jwt_public_key_file=None, api_jwks_url="http://id.example/keys")


class Issuer:
    """Publishes keys over HTTP, counts how often it is asked, and may be away."""

    def __init__(self) -> None:
        self.published: dict[str, RSAPublicKey] = {}
        self.asked = 0
        self.away = False

    def document(self) -> bytes:
        self.asked += 1
        listed = [
            jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True) | {"kid": kid, "use": "sig", "alg": "RS256"}
            for kid, key in self.published.items()
        ]
        return json.dumps({"keys": listed}).encode()


@pytest.fixture
def issuer() -> Iterator[tuple[Issuer, str]]:
    publishing = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = publishing.document()
            self.send_response(503 if publishing.away else 200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield publishing, f"http://127.0.0.1:{listening.server_port}/keys"
        listening.shutdown()


def signed(keys: Keys, kid: str | None, tenant: Tenant) -> str:
    claims = jwt.decode(server.token(keys, tenant.tenant_id, "finance"), options={"verify_signature": False})
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims, read_private_key(keys.private_file), algorithm="RS256", headers=headers)


def test_published_keys_are_fetched_once_and_a_rolled_one_is_found(
    make_api: Any, issuer: tuple[Issuer, str], keys: Keys, tenant: Tenant, tmp_path: Path, monkeypatch: Any
) -> None:
    publishing, url = issuer
    publishing.published["first"] = read_public_key(keys.public_file)
    rolled = tokens.new_keys(tmp_path)
    client = make_api(api_jwt_public_key_file=None, api_jwks_url=url)

    assert [asking(client, signed(keys, "first", tenant)) for _ in range(3)] == [404] * 3
    assert asking(client, signed(rolled, "first", tenant)) == 401
    assert asking(client, signed(keys, None, tenant)) == 401
    assert publishing.asked == 1

    publishing.published["second"] = read_public_key(rolled.public_file)
    assert asking(client, signed(rolled, "second", tenant)) == 401  # looked a moment ago
    monkeypatch.setattr(jwks, "UNKNOWN_KEY_PAUSE_SECONDS", 0)
    monkeypatch.setattr(jwks, "AWAY_PAUSE_SECONDS", 0)
    assert asking(client, signed(rolled, "second", tenant)) == 404
    assert publishing.asked == 2


def test_while_the_issuer_is_away_known_keys_hold_and_without_any_nobody_is_called_a_liar(
    make_api: Any, issuer: tuple[Issuer, str], keys: Keys, tenant: Tenant, monkeypatch: Any
) -> None:
    publishing, url = issuer
    publishing.published["first"] = read_public_key(keys.public_file)
    monkeypatch.setattr(jwks, "KEPT_SECONDS", 0)
    monkeypatch.setattr(jwks, "AWAY_PAUSE_SECONDS", 0)
    fresh, client = (make_api(api_jwt_public_key_file=None, api_jwks_url=url) for _ in range(2))
    token = signed(keys, "first", tenant)
    assert asking(client, token) == 404

    publishing.away = True

    assert asking(client, token) == 404
    assert asking(fresh, token) == 503


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_a_short_published_key_signs_nothing(issuer: tuple[Issuer, str], tenant: Tenant, tmp_path: Path) -> None:
    publishing, url = issuer
    short = tokens.new_keys(tmp_path, bits=1024)
    publishing.published["short"] = read_private_key(short.private_file).public_key()

    with pytest.raises(BadTokenError):
        PublishedKeys(url).key_for(signed(short, "short", tenant))
