"""`fleet api token` makes tokens that the API takes, on a developer's machine and nowhere else."""

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from messages.runtime.settings import EX_CONFIG
from outbox.intake.api.callers import CallerRole, Permission, caller_in
from outbox.web.bearer_tokens import OneKey, TokenChecker
from tests import tokens
from tests.tokens import Keys


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return tokens.new_keys(tmp_path)


def token(keys: Keys, *words: str, app_env: str = "local") -> "subprocess.CompletedProcess[str]":
    environment = {
        "APP_ENV": app_env,
        "API_JWT_ISSUER": "us",
        "API_JWT_AUDIENCE": "fleet-api",
        "API_SIGNING_KEY_FILE": str(keys.private_file),
    }
    command = [sys.executable, "-m", "deploy.cli", "api", "token", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_it_holds_and_says_who(keys: Keys) -> None:
    tenant, venue = uuid4(), uuid4()

    made = token(
        keys,
        *("--tenant", str(tenant), "--role", "service", "--role", "finance", "--venue", str(venue)),
        *("--scope", "payments:complete", "--subject", "sam"),
    )

    checker = TokenChecker(OneKey(keys.public_file), issuer="us", audience="fleet-api")
    caller = caller_in(checker.claims_of(made.stdout.strip()))
    assert (caller.tenant_id, caller.subject, caller.venues) == (tenant, "sam", {venue})
    assert caller.roles == {CallerRole.SERVICE, CallerRole.FINANCE}
    assert caller.may(Permission.COMPLETE)
    assert not caller.may(Permission.QUOTE_TAX)


def test_without_a_venue_it_reaches_all_of_the_tenant(keys: Keys) -> None:
    made = token(keys, "--tenant", str(uuid4()), "--role", "finance")

    claims = TokenChecker(OneKey(keys.public_file), issuer="us", audience="fleet-api").claims_of(made.stdout.strip())
    assert caller_in(claims).venues is None


@pytest.mark.parametrize("app_env", ["test", "staging", "production"])
def test_elsewhere_nothing_is_signed(keys: Keys, app_env: str) -> None:
    made = token(keys, "--tenant", str(uuid4()), "--role", "finance", app_env=app_env)

    assert made.returncode == EX_CONFIG
    assert made.stdout == ""
    assert "only for APP_ENV=local" in made.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--role", "owner"], "unknown: owner"),
        (["--role", "service"], "add --scope"),
        (["--role", "service", "--scope", "everything"], "unknown: everything"),
        (["--role", "finance", "--venue", "here"], "no venue id: here"),
    ],
)
def test_what_the_api_would_not_understand_is_said_at_once(keys: Keys, words: list[str], sentence: str) -> None:
    made = token(keys, "--tenant", str(uuid4()), *words)

    assert made.returncode == 2
    assert sentence in made.stderr
