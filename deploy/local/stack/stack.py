"""The one-machine stack: PostgreSQL, Valkey, RabbitMQ and a chain, and the environment that the fleet needs.

    with Stack(directory) as stack:
        subprocess.run(..., env={**os.environ, **stack.environment()})

All it knows lies in `directory`; two stacks in two directories never meet. A second start in the same directory finds
the same ports, passwords and data. A server whose address is in the environment already (DATABASE_URL and
MIGRATION_DATABASE_URL, REDIS_URL, RABBITMQ_URL) is used from there and not started.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.stack.api_keys import Api
from deploy.local.stack.chain import Chain
from deploy.local.stack.console_users import Console
from deploy.local.stack.memory import Memory
from deploy.local.stack.ownership import Ownership
from deploy.local.stack.postgres import Postgres
from deploy.local.stack.rabbitmq import RabbitMQ
from deploy.local.stack.server import Server, ServerFailedError
from deploy.local.stack.valkey import Valkey
from deploy.local.stripe.control import EmulatorControl
from messages.webhooks import WANTED, WANTED_OF_ACCOUNTS
from outbox.sealing import pair_from_seed

CLONE = Path(__file__).resolve().parents[3]
TAKEN_FROM_OUTSIDE = (
    *("DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL", "RABBITMQ_URL"),
    *("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS"),
    *("CHAIN_RPC_URLS", "CHAIN_ID", "CHAIN_CONTRACT", "CHAIN_SIGNER_KEY_FILE"),
)


class Stack:
    """The servers of one directory. Each can be stopped, killed and started alone: `stack.rabbitmq.kill()`."""

    def __init__(self, directory: Path = CLONE / ".local", outside: Mapping[str, str] = os.environ) -> None:
        self.directory = directory.resolve()
        self.memory = Memory(self.directory)
        self.postgres = Postgres(self.directory, self.memory)
        self.valkey = Valkey(self.directory, self.memory)
        self.rabbitmq = RabbitMQ(self.directory, self.memory)
        self.chain = Chain(self.directory, self.memory)
        self.console = Console(self.directory, self.memory)
        self._api = Api(self.directory, self.memory)
        self._outside = {name: outside[name] for name in TAKEN_FROM_OUTSIDE if outside.get(name)}
        self._ownership = Ownership(self.directory)

    @property
    def servers(self) -> list[Server]:
        """Those that this stack starts itself, the quickest first."""
        own: list[Server] = []
        if "REDIS_URL" not in self._outside:
            own.append(self.valkey)
        if "DATABASE_URL" not in self._outside:
            own.append(self.postgres)
        if "RABBITMQ_URL" not in self._outside:
            own.append(self.rabbitmq)
        if self.chain.is_there and "CHAIN_RPC_URLS" not in self._outside:
            own.append(self.chain)
        return own

    @property
    def uses_emulator(self) -> bool:
        """Unless a key from outside says that this is real Stripe, in test mode."""
        return "STRIPE_SECRET_KEY" not in self._outside

    def emulator_control(self) -> EmulatorControl:
        """The client of its second port, which arranges what happens at Stripe."""
        address = f"http://127.0.0.1:{self.memory.port('stripe_control')}"
        return EmulatorControl(address, self.memory.secret("stripe_control"))

    def emulator_environment(self) -> dict[str, str]:
        """What the emulator alone gets; as variables, because a process list shows flags to everybody."""
        endpoint = f"http://127.0.0.1:{self.memory.port('intake_http')}/webhooks/stripe"
        return {
            "STRIPE_EMULATOR_WEBHOOK_ENDPOINT": endpoint,
            "STRIPE_EMULATOR_WEBHOOK_SECRET": self.memory.secret("stripe_webhook"),
            # As a real endpoint should be: each event costs a request and two transactions, also when nobody needs it.
            "STRIPE_EMULATOR_WEBHOOK_EVENTS": ",".join(sorted(WANTED | WANTED_OF_ACCOUNTS)),
            # As at Stripe: what happens in connected accounts is sent to an endpoint, and under a secret, of its own.
            "STRIPE_EMULATOR_CONNECT_WEBHOOK_ENDPOINT": endpoint,
            "STRIPE_EMULATOR_CONNECT_WEBHOOK_SECRET": self.memory.secret("stripe_connect_webhook", prefix="whsec_"),
        }

    def start(self) -> None:
        """Become the owner of the directory and start all servers side by side; on trouble none is left running."""
        self._refuse_half_a_database()
        self._ownership.take()
        try:
            self.memory.forget_taken_ports()
            self._empty_metrics()
            self.console.make_files()
            self._api.make_files()
            with ThreadPoolExecutor() as pool:
                list(pool.map(Server.start, self.servers))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all servers side by side and give the directory back."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Server.stop, self.servers))
        self._ownership.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """All settings of all processes on this machine; can be asked before the start and from another process."""
        own = {"APP_ENV": "local", **self._addresses(), **self._stripe(), **self._intake(), **self._metrics()}
        own |= self._seal() | self.console.environment() | self._api.environment()
        own |= {} if "CHAIN_RPC_URLS" in self._outside else self.chain.environment()
        return {**own, **self._outside}

    @property
    def order_log(self) -> Path:
        """Where the demo's order service remembers what it asked for."""
        return self.directory / "orders.jsonl"

    def _addresses(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.postgres.url,
            "MIGRATION_DATABASE_URL": self.postgres.migration_url,
            "REDIS_URL": self.valkey.url,
            "RABBITMQ_URL": self.rabbitmq.url,
        }

    def _stripe(self) -> dict[str, str]:
        """Stripe is the emulator here because these lines say so, and for no other reason."""
        if not self.uses_emulator:
            return {}
        port = self.memory.port("stripe")
        return {
            "STRIPE_SECRET_KEY": self.memory.secret("stripe_key", prefix="sk_test_"),
            "STRIPE_WEBHOOK_SECRETS": ",".join(
                self.memory.secret(name, prefix="whsec_") for name in ("stripe_webhook", "stripe_connect_webhook")
            ),
            "STRIPE_API_BASE": f"http://127.0.0.1:{port}",
            # The emulator limits nobody unless asked; Stripe's own figures would make a bench measure our brake.
            "STRIPE_REQUESTS_PER_SECOND": "2000",
            "STRIPE_ENDPOINT_REQUESTS_PER_SECOND": "2000",
            "STRIPE_EMULATOR_PORT": str(port),
            "STRIPE_EMULATOR_CONTROL_PORT": str(self.memory.port("stripe_control")),
            "STRIPE_EMULATOR_CONTROL_TOKEN": self.memory.secret("stripe_control"),
            "STRIPE_EMULATOR_DATABASE": str(self.directory / "stripe.sqlite3"),
            # A young shop: what its balance does not cover Stripe takes from its bank account.
            "STRIPE_EMULATOR_REFUNDS_BEYOND_BALANCE": "overdraw",
        }

    def _seal(self) -> dict[str, str]:
        """The pair that seals and opens the originals of dead letters; made once, from a remembered seed."""
        public, private = pair_from_seed(self.memory.secret("dead_letter_seed"))
        return {"DEAD_LETTER_PUBLIC_KEY": public, "DEAD_LETTER_PRIVATE_KEY": private}

    def _intake(self) -> dict[str, str]:
        return {"INTAKE_HTTP_HOST": "127.0.0.1", "INTAKE_HTTP_PORT": str(self.memory.port("intake_http"))}

    def _metrics(self) -> dict[str, str]:
        return {"PROMETHEUS_MULTIPROC_DIR": str(self.directory / "metrics")}

    def _empty_metrics(self) -> None:
        """Processes of the last run left their counters there; the library wants an empty folder at each start."""
        metrics = self.directory / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir()

    def _refuse_half_a_database(self) -> None:
        """A database from outside needs both logins; guessing one from the other would be a silent fallback."""
        given = [name for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL") if name in self._outside]
        if len(given) == 1:
            raise ServerFailedError(
                f"only {given[0]} is set: set DATABASE_URL and MIGRATION_DATABASE_URL, or neither of them"
            )
