"""Webhooks at a steady pace: how long Stripe waits for our answer, and how long the book waits for the event.

The sender is a process of its own (webhook_sender.py) with keep-alive connections and an open loop: an event is due at
its time whether or not the earlier ones were answered, and its waiting counts from then.
"""

import json
import subprocess
import sys
import time
from statistics import quantiles

import urllib3

from deploy.local.bench.fleet import Fleet
from deploy.local.bench.ground import Ground
from deploy.local.stack.stack import CLONE
from deploy.local.stack.up import intake_address

PER_SECOND = 200
DRAIN_SECONDS = 30.0
_WAITING = "SELECT count(*) FROM webhook_inbox WHERE state IN ('pending', 'unmatched')"
_APPLIED = """
    SELECT
        count(*),
        (1000 * extract(epoch FROM percentile_disc(0.99) WITHIN GROUP (ORDER BY settled_at - received_at)))::float8
    FROM webhook_inbox
    WHERE event_id LIKE %(run)s
"""


def measure(ground: Ground, standing: Fleet) -> None:
    """Events about payments that have succeeded already, each once, and without our metadata.

    With it they would be applied as they are stored; so each goes the long way, through outbox, broker and worker.
    """
    seconds = 3 if ground.quick else 10
    template = _real_event(standing)
    for position in range(ground.passes):
        run = f"evt_bench{position}n"
        intents = _intents(standing)
        waits = _send(
            ground,
            standing,
            {
                "address": f"{intake_address(ground.stack)}/webhooks/stripe",
                "per_second": PER_SECOND,
                "seconds": seconds,
                "run": run,
                "template": template,
                "intents": intents,
            },
        )
        ground.results.add("webhook acknowledged p99", quantiles(waits, n=100)[98])
        ground.results.add("webhook applied p99", _applied_p99(standing, run, PER_SECOND * seconds))


def _real_event(standing: Fleet) -> str:
    """An event as the emulator sends it."""
    answer = urllib3.request(
        "GET",
        standing.environment["STRIPE_API_BASE"] + "/v1/events",
        fields={"type": "payment_intent.succeeded", "limit": "1"},
        headers={"Authorization": f"Bearer {standing.environment['STRIPE_SECRET_KEY']}"},
    )
    return json.dumps(json.loads(answer.data)["data"][0])


def _intents(standing: Fleet) -> list[str]:
    with standing.book.owner() as owner:
        rows = owner.execute("SELECT payment_intent_id FROM payments").fetchall()
    return [str(intent_id) for (intent_id,) in rows]


def _send(ground: Ground, standing: Fleet, job: dict[str, object]) -> list[float]:
    """Milliseconds from due to answered, one for each event."""
    sender = subprocess.run(
        [sys.executable, "-m", "deploy.local.bench.webhook_sender"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        cwd=CLONE,
        env=standing.environment,
        timeout=120,
    )
    assert sender.returncode == 0, sender.stderr
    answered: dict[str, list[float]] = json.loads(sender.stdout)
    assert set(answered) == {"204"}, f"answers of the webhook door: {[(s, len(w)) for s, w in answered.items()]}"
    return answered["204"]


def _applied_p99(standing: Fleet, run: str, count: int) -> float:
    deadline = time.monotonic() + DRAIN_SECONDS
    with standing.book.owner() as owner:
        while owner.execute(_WAITING).fetchone() != (0,):
            assert time.monotonic() < deadline, "webhooks are not drained"
            time.sleep(0.1)
        row = owner.execute(_APPLIED, {"run": f"{run}%"}).fetchone()
    assert row is not None and row[0] == count, f"{row} of {count} events are in the inbox"
    return float(str(row[1]))
