"""Who may do what at the broker, and what stands there: RabbitMQ's definitions file, made from the fleet's own tables.

    python -m deploy.broker_users PASSWORDS.json > definitions.json      {"fleet_relay": "...", ...}, a user each

No process may declare or delete anything: the definitions do, at the broker's start or by
`rabbitmqctl import_definitions`, when a version brings a new queue. A user names what it reads and writes, no more: a
relay that is broken into cannot take a charge off its queue, and an intake cannot put one on.
"""

import base64
import hashlib
import json
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from messages import queues
from outbox.broker import topology

VHOST = "/"
NOTHING = "^$"
NO_LIMIT = 1_000_000_000  # 4.x would take -1 as well, 3.10 would not
DEFAULT_EXCHANGE = "amq.default"  # as permissions call the exchange without a name, through which queues are reached


@dataclass(frozen=True, slots=True)
class BrokerUser:
    """`reads` are queues, `writes` are exchanges."""

    name: str
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()


def broker_users() -> tuple[BrokerUser, ...]:
    """One for each kind of process, and one for the order service beside us."""
    work = sorted({route.queue for route in queues.ROUTES.values()})
    return (
        BrokerUser("fleet_intake_orders", reads=[queues.ORDERS_QUEUE]),
        BrokerUser("fleet_intake_http"),  # looks whether the broker is there, for /health/ready
        BrokerUser("fleet_relay", writes=[DEFAULT_EXCHANGE, queues.EVENTS_EXCHANGE]),
        BrokerUser("fleet_dead_letters", reads=[queues.DEAD_LETTER_QUEUE]),
        BrokerUser("fleet_worker", reads=work),
        BrokerUser("fleet_scheduler"),  # asks how deep queues are, for the scale signals
        BrokerUser("fleet_console"),  # asks how deep queues are, which needs no permission
        BrokerUser("order_service", reads=[queues.ORDER_SERVICE_QUEUE], writes=[queues.ORDERS_EXCHANGE]),
    )


def definitions(passwords: Mapping[str, str]) -> dict[str, Any]:
    """Users with their permissions, policy, exchanges, queues and bindings; passwords only as salted hashes.

    Raises:
        KeyError: a user has no password.
    """
    users = broker_users()
    return {
        "vhosts": [{"name": VHOST}],
        "users": [
            {
                "name": user.name,
                "password_hash": _hashed(passwords[user.name]),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
            for user in users
        ],
        "permissions": [{"user": user.name, "vhost": VHOST, **permissions(user)} for user in users],
        "policies": [
            {"name": "lasting", "vhost": VHOST, "pattern": _one_of(lasting_queues()), "apply-to": "queues",
             "priority": 0, "definition": {"delivery-limit": NO_LIMIT}},
        ],
        "exchanges": [
            {"name": name, "vhost": VHOST, "type": "topic", "durable": True, "auto_delete": False, "internal": False,
             "arguments": {}}
            for name in topology.EXCHANGES
        ],
        "queues": [
            {"name": queue.name, "vhost": VHOST, "durable": True, "auto_delete": False, "arguments": queue.arguments}
            for queue in topology.queues()
        ],
        "bindings": [
            {"source": exchange, "vhost": VHOST, "destination": queue.name, "destination_type": "queue",
             "routing_key": key, "arguments": {}}
            for queue in topology.queues()
            for exchange, key in queue.bindings
        ],
    }  # fmt: skip


def lasting_queues() -> list[str]:
    """Those without dead letters. RabbitMQ 4 drops what was delivered 20 times, unless it is told otherwise.

    By policy, because other arguments of a queue that stands would be drift.
    """
    return [queue.name for queue in topology.queues() if "x-delivery-limit" not in queue.arguments]


def permissions(user: BrokerUser) -> dict[str, str]:
    return {"configure": NOTHING, "write": _one_of(user.writes), "read": _one_of(user.reads)}


def _one_of(names: Sequence[str]) -> str:
    return f"^({'|'.join(map(re.escape, names))})$" if names else NOTHING


def _hashed(password: str) -> str:
    """RabbitMQ's own form: four bytes of salt, then SHA-256 over salt and password."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


if __name__ == "__main__":
    print(json.dumps(definitions(json.loads(Path(sys.argv[1]).read_text())), indent=1))
