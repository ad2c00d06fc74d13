"""The process intake-http as the fleet runs it, over one test's database, and callers of its API."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import httpx

from deploy.local.stripe.process import free_port
from tests import signing, tokens
from tests.tokens import Keys
from tests.waiting import until

ISSUER, AUDIENCE = "https://id.example", "fleet-api"


def token(keys: Keys, of: UUID, *roles: str, **changes: Any) -> str:
    """A token that holds, for a caller of all venues unless that matters."""
    claims = {"aud": AUDIENCE, "sub": "fiona", "tenant_id": str(of), "roles": list(roles), "venues": "*"}
    return tokens.token(keys, **(claims | changes))


@dataclass
class Server:
    """`with Server.of(environment, folder) as server:`; a second `start` keeps the port."""

    environment: Mapping[str, str]
    port: int
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    def of(cls, environment: Mapping[str, str], folder: Path) -> Self:
        return cls(environment, free_port(), folder / "intake-http.log")

    def start(self) -> None:
        own = {"INTAKE_HTTP_PORT": str(self.port), "INTAKE_HTTP_HOST": "127.0.0.1", "PATH": os.environ["PATH"]}
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "outbox.intake.http"]
            self.process = subprocess.Popen(command, env={**self.environment, **own}, stdout=output, stderr=output)
        until(self.answers)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/health/live").status_code == 200
        except httpx.TransportError:
            return False

    def died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)


def environment(database_url: str, broker_url: str, cache_url: str, keys: Keys, **changes: str) -> dict[str, str]:
    """Every setting of the process; limits that no test meets by accident."""
    return {
        "APP_ENV": "test",
        "DATABASE_URL": database_url,
        "RABBITMQ_URL": broker_url,
        "REDIS_URL": cache_url,
        "STRIPE_WEBHOOK_SECRETS": signing.SECRET,
        "API_JWT_PUBLIC_KEY_FILE": str(keys.public_file),
        "API_JWT_ISSUER": ISSUER,
        "API_JWT_AUDIENCE": AUDIENCE,
        "API_REQUESTS_PER_MINUTE": "100000",
        "API_PAYMENTS_PER_MINUTE": "100000",
        "API_REFUNDS_PER_MINUTE": "100000",
    } | changes


@dataclass
class Somebody:
    """One caller: posts with a fresh key unless the key matters."""

    client: httpx.Client
    token: str

    def post(self, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> httpx.Response:
        chosen = {"Idempotency-Key": key or str(uuid4()), "Authorization": f"Bearer {self.token}"}
        return self.client.post(path, json={} if body is None else body, headers=chosen | headers)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path, headers={"Authorization": f"Bearer {self.token}"})
