"""What one payment costs, in every part, measured on this machine: the table that `fleet capacity` reckons with.

    python -m deploy.local.measuring              writes deploy/capacity/measured.json

The fleet stands as in the bench (a stack of its own, the Stripe emulator), settles a warm-up and then whole payments,
from order event to applied webhook. CPU is counted by process family, the database by its own statistics, Stripe by the
emulator's record of requests. Memory is what each kind of process holds afterwards.
"""

import json
import os
import platform
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import psutil
import psycopg

from deploy.local.bench import fleet
from deploy.local.bench.cpu import Meter
from deploy.local.bench.fleet import EMULATOR, Fleet
from deploy.local.bench.ground import Ground, ground, register_tenant
from deploy.local.bench.journeys import _settle as settle
from deploy.local.bench.measures import Results
from deploy.local.processes import family_of
from deploy.local.stack import CLONE
from deploy.local.stripe.control import EmulatorControl

MEASURED = CLONE / "deploy" / "capacity" / "measured.json"
WARM_UP, PAYMENTS = 100, 600
_DATABASE = """
    SELECT xact_commit, pg_current_wal_lsn() - '0/0'::pg_lsn, pg_database_size(datname)
      FROM pg_stat_database WHERE datname = current_database()
"""


def main() -> int:
    with ground(CLONE / ".local" / "measuring", Results(), quick=True) as prepared:
        found = measured(prepared)
    MEASURED.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    print(f"{MEASURED.relative_to(CLONE)} written")
    return 0


def measured(prepared: Ground) -> dict[str, Any]:
    with prepared.book() as book, fleet.standing(prepared, book) as standing:
        tenant = register_tenant(book)
        settle(prepared, standing, tenant, WARM_UP, so_far=0)
        prepared.settle()
        control = _control(standing)
        asked, before = len(control.requests()), _database(book.owner_url)
        meter = Meter(**standing.clocks(prepared))
        with meter.running():
            settle(prepared, standing, tenant, PAYMENTS, so_far=WARM_UP)
        time.sleep(1.0)  # the statistics of a session are told within a second
        after = _database(book.owner_url)
        endpoints = Counter(f"{each['method']} {_family(each['path'])}" for each in control.requests()[asked:])
        memory = {name: _memory(process.pid) for name, process in standing.running.items() if name != EMULATOR}
    cpu_ms = {name: round(seconds / PAYMENTS * 1e3, 3) for name, seconds in meter.cpu.items() if name != EMULATOR}
    return {
        "source": "python -m deploy.local.measuring",
        "measured_at": datetime.now(UTC).date().isoformat(),
        "machine": f"{psutil.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "load_average": round(os.getloadavg()[0], 1),  # well above 3 it was not the fleet alone: measure again
        "payments": PAYMENTS,
        "payments_per_second": round(PAYMENTS / meter.seconds, 1),
        "cpu_ms_per_payment": cpu_ms,
        "memory_mib": memory,
        "database": {
            name: round((late - early) / PAYMENTS, 1)
            for name, early, late in zip(("commits", "wal_bytes", "bytes_kept"), before, after, strict=True)
        },
        "stripe_requests_per_payment": {name: round(count / PAYMENTS, 3) for name, count in sorted(endpoints.items())},
    }


def _control(standing: Fleet) -> EmulatorControl:
    port = standing.environment["STRIPE_EMULATOR_CONTROL_PORT"]
    return EmulatorControl(f"http://127.0.0.1:{port}", standing.environment["STRIPE_EMULATOR_CONTROL_TOKEN"])


def _family(path: str) -> str:
    """/v1/payment_intents/pi_123/cancel -> payment_intents; Stripe limits by endpoint."""
    return path.strip("/").split("/")[1]


def _database(url: str) -> tuple[float, ...]:
    with psycopg.connect(url, autocommit=True) as owner:
        row = owner.execute(_DATABASE).fetchone()
    assert row is not None, "our own database is listed"
    return tuple(float(value) for value in row)


def _memory(pid: int) -> dict[str, float]:
    """Of a process and all it has started: resident now, and what is its own (PSS counts shared pages once)."""
    members = family_of(pid)
    rss = sum(member.memory_info().rss for member in members)
    pss = sum(getattr(member.memory_full_info(), "pss", 0) for member in members)
    return {"processes": len(members), "rss": round(rss / 2**20, 1), "pss": round(pss / 2**20, 1)}


if __name__ == "__main__":
    sys.exit(main())
