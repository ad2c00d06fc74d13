"""What one payment costs, in every part, measured on this machine: the table that `fleet capacity` reckons with.

    python -m deploy.local.bench.capacity              writes deploy/capacity/measured.json

The fleet stands as in the bench (a stack of its own, the Stripe emulator), settles a warm-up and then whole payments,
from order event to applied webhook; then as many whose shares go to two accounts, and what that takes more is the
transfers'. CPU is counted by process family, the database by its own statistics, Stripe by the emulator's record of
requests. Memory is what each kind of process holds afterwards.
"""

import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from db.tenants.tenants import Tenant
from deploy.local.bench import fleet
from deploy.local.bench.cpu import Meter
from deploy.local.bench.fleet import EMULATOR, Fleet
from deploy.local.bench.ground import Ground, ground, register_tenant
from deploy.local.bench.journeys import settle
from deploy.local.bench.measures import Results
from deploy.local.scenario.recipients import register_recipients
from deploy.local.stack.processes import family_of
from deploy.local.stack.stack import CLONE

MEASURED = CLONE / "deploy" / "capacity" / "measured.json"
WARM_UP, PAYMENTS = 100, 600
SHARES_SECONDS = 120.0
_DATABASE = """
    SELECT xact_commit AS commits, pg_current_wal_lsn() - '0/0'::pg_lsn AS wal_bytes,
        pg_database_size(datname) AS bytes_kept, (SELECT count(*) FROM transfers WHERE state = 'paid') AS transfers
      FROM pg_stat_database WHERE datname = current_database()
"""
_SHARES_LEFT = """
    SELECT
        (SELECT count(*) FROM shares s JOIN recipients r USING (tenant_id, recipient_id)
          WHERE s.state <> 'settled' AND r.account_id IS NOT NULL),
        (SELECT count(*) FROM outbox)
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
        alone = _pass(prepared, standing, tenant, so_far=WARM_UP)
        sharing = register_tenant(book)
        with book.owner() as owner:
            register_recipients(owner, prepared.stack.emulator_control(), [sharing], sellers=0)
        shared = _pass(prepared, standing, sharing, so_far=WARM_UP + PAYMENTS)
        memory = {name: _memory(process.pid) for name, process in standing.running.items() if name != EMULATOR}
    return {
        "source": "python -m deploy.local.bench.capacity",
        "measured_at": datetime.now(UTC).date().isoformat(),
        "machine": f"{psutil.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "load_average": round(os.getloadavg()[0], 1),  # well above 3 it was not the fleet alone: measure again
        "payments": PAYMENTS,
        "payments_per_second": round(PAYMENTS / alone.seconds, 1),
        "cpu_ms_per_payment": _each(alone.cpu_ms, PAYMENTS),
        "cpu_ms_per_transfer": _each(_more(shared.cpu_ms, alone.cpu_ms), shared.transfers),
        "memory_mib": memory,
        "database": _each(alone.database, PAYMENTS, digits=1),
        "stripe_requests_per_payment": _each(alone.requests, PAYMENTS),
        "stripe_requests_per_transfer": _each(_more(shared.requests, alone.requests), shared.transfers),
    }


@dataclass(frozen=True, slots=True)
class Pass:
    """What PAYMENTS payments took together. `cpu_ms` by process family, without the emulator's."""

    seconds: float
    cpu_ms: dict[str, float]
    database: dict[str, float]
    requests: dict[str, float]
    transfers: int


def _pass(prepared: Ground, standing: Fleet, tenant: Tenant, *, so_far: int) -> Pass:
    prepared.settle()
    control, url = prepared.stack.emulator_control(), standing.book.owner_url
    asked, before = len(control.requests()), _database(url)
    meter = Meter(**standing.clocks(prepared))
    with meter.running():
        settle(prepared, standing, tenant, PAYMENTS, so_far=so_far)
        _wait_for_shares(standing)
    time.sleep(1.0)  # the statistics of a session are told within a second
    took = {name: late - before[name] for name, late in _database(url).items()}
    requests = Counter(f"{each['method']} {_family(each['path'])}" for each in control.requests()[asked:])
    cpu_ms = {name: seconds * 1e3 for name, seconds in meter.cpu.items() if name != EMULATOR}
    transfers = int(took.pop("transfers"))
    return Pass(meter.seconds, cpu_ms, took, {name: float(count) for name, count in requests.items()}, transfers)


def _wait_for_shares(standing: Fleet) -> None:
    """Until every share that has an account to go to has gone, and nothing is queued."""
    deadline = time.monotonic() + SHARES_SECONDS
    with standing.book.owner() as owner:
        while (left := owner.execute(_SHARES_LEFT).fetchone()) != (0, 0):
            standing.require_alive()
            assert time.monotonic() < deadline, f"shares and outbox rows that are left: {left}"
            time.sleep(0.1)


def _more(shared: Mapping[str, float], alone: Mapping[str, float]) -> dict[str, float]:
    """What the second pass took more than the first; a part that took less by chance took nothing."""
    return {name: more for name, value in shared.items() if (more := value - alone.get(name, 0.0)) > 0}


def _each(totals: Mapping[str, float], count: int, *, digits: int = 3) -> dict[str, float]:
    return {name: round(value / count, digits) for name, value in sorted(totals.items())}


def _family(path: str) -> str:
    """/v1/payment_intents/pi_123/cancel -> payment_intents; Stripe limits by endpoint."""
    return path.strip("/").split("/")[1]


def _database(url: str) -> dict[str, float]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as owner:
        row = owner.execute(_DATABASE).fetchone()
    assert row is not None, "our own database is listed"
    return {name: float(value) for name, value in row.items()}


def _memory(pid: int) -> dict[str, float]:
    """Of a process and all it has started: resident now, and what is its own (PSS counts shared pages once)."""
    members = family_of(pid)
    rss = sum(member.memory_info().rss for member in members)
    pss = sum(getattr(member.memory_full_info(), "pss", 0) for member in members)
    return {"processes": len(members), "rss": round(rss / 2**20, 1), "pss": round(pss / 2**20, 1)}


if __name__ == "__main__":
    sys.exit(main())
