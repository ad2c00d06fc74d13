"""Makes the files under deploy/secrets/ that compose mounts: random passwords, addresses with them, keys of the seal.

    python -m deploy.compose_secrets sk_test_... whsec_... --api-key api.pem --console-key console.pem \
        --api-issuer https://identity.example --console-issuer https://identity.example

Nothing is written over: a second run makes only what is missing. Each process gets the address of its own database
login and its own broker user. `public.env` holds what is no secret and is passed with a second --env-file.
"""

import argparse
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from deploy.broker_users import broker_users, definitions
from outbox.sealing import pair_from_seed

DIRECTORY = Path(__file__).parent / "secrets"
LOGINS = ("owner", "intake", "relay", "dead_letters", "scheduler", "minter", "worker", "console")
WORD_BYTES = 24


class Drawer:
    """A folder of secrets that only its owner reads; what lies there already is kept."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)

    def keep(self, name: str, content: str) -> str:
        """World-readable inside a closed folder: compose mounts the file as it is, to a user that is not its owner.
        Said outright: with a umask of 077 the container would start and find a secret that it cannot read."""
        path = self.directory / name
        if not path.exists():
            path.write_text(content)
        path.chmod(0o644)
        return path.read_text()

    def word(self, name: str) -> str:
        return self.keep(f"word.{name}", secrets.token_urlsafe(WORD_BYTES))


def make(drawer: Drawer, stripe_key: str, webhook_secrets: str, issuers: Mapping[str, str]) -> None:
    """`issuers`: API_JWT_ISSUER and CONSOLE_JWT_ISSUER; they are no secret, and compose does not start without them."""
    drawer.keep("stripe_secret_key", stripe_key)
    drawer.keep("stripe_webhook_secrets", webhook_secrets)
    drawer.keep("postgres_superuser", secrets.token_urlsafe(WORD_BYTES))
    drawer.keep("grafana_admin", secrets.token_urlsafe(WORD_BYTES))
    drawer.keep(
        "redis_url", f"redis://:{drawer.keep('valkey_password', secrets.token_urlsafe(WORD_BYTES))}@valkey:6379/0"
    )
    public, private = pair_from_seed(drawer.word("seal"))
    drawer.keep("dead_letter_private_key", private)
    settings = {"DEAD_LETTER_PUBLIC_KEY": public, **issuers}
    drawer.keep("public.env", "".join(f"{name}={value}\n" for name, value in settings.items()))
    _database(drawer)
    _broker(drawer)


def _database(drawer: Drawer) -> None:
    words = {f"fleet_{login}": drawer.word(f"database_{login}") for login in LOGINS}
    for role, word in words.items():
        name = f"database_{role.removeprefix('fleet_')}"
        drawer.keep(name, f"postgresql://{role}:{quote(word)}@postgres:5432/fleet")
    drawer.keep("database_logins", "".join(f"{role} {_verifier(role, word)}\n" for role, word in words.items()))


def _verifier(role: str, word: str) -> str:
    """What PostgreSQL keeps of a password; libpq makes it without a server."""
    return (
        psycopg.pq.PGconn.connect_start(b"").encrypt_password(word.encode(), role.encode(), b"scram-sha-256").decode()
    )


def _broker(drawer: Drawer) -> None:
    words = {user.name: drawer.word(f"rabbitmq_{user.name}") for user in broker_users()}
    for user, word in words.items():
        drawer.keep(f"rabbitmq_{user.removeprefix('fleet_')}", f"amqp://{user}:{quote(word)}@rabbitmq:5672/%2F")
    drawer.keep("rabbitmq_definitions", json.dumps(definitions(words), indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stripe_key")
    parser.add_argument("webhook_secrets")
    parser.add_argument("--api-key", type=Path, required=True, help="PEM of the key that API tokens are checked with")
    parser.add_argument("--console-key", type=Path, required=True, help="the same for operators")
    parser.add_argument("--api-issuer", required=True, help="the `iss` of API tokens")
    parser.add_argument("--console-issuer", required=True, help="the same for operators")
    namespace = parser.parse_args()
    drawer = Drawer(DIRECTORY)
    issuers = {"API_JWT_ISSUER": namespace.api_issuer, "CONSOLE_JWT_ISSUER": namespace.console_issuer}
    make(drawer, namespace.stripe_key, namespace.webhook_secrets, issuers)
    drawer.keep("api_jwt_public_key", namespace.api_key.read_text())
    for name in ("pagerduty_routing_key", "slack_api_url"):  # empty: Alertmanager starts, and says what it cannot send
        drawer.keep(name, "")
    drawer.keep("console_jwt_public_key", namespace.console_key.read_text())
    print(f"{len(list(DIRECTORY.iterdir()))} files in {DIRECTORY}")


if __name__ == "__main__":
    main()
