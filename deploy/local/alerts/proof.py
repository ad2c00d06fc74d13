"""Provoke each alert, one reason after another, and list which fired, by what, and which did not.

Before the first, the fleet works for a while and none may fire; between two, what was done is undone. A page for people
lies in deploy/docs/alerts-proof.md, written by --write.
"""

import logging
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from loguru import logger
from rich.console import Console
from rich.table import Table

from db.session import Database
from db.settings import DatabaseSettings
from deploy.local.alerts.impatience import AGES, alerts
from deploy.local.alerts.provoking import PROVOCATIONS, Provocation
from deploy.local.alerts.scene import DIRECTORY, Scene, WatchedFleet, prometheus_for
from deploy.local.demo.order_service import OrderService
from deploy.local.ownership import AlreadyRunningError, owner_of
from deploy.local.server import ServerFailedError
from deploy.local.stack import Stack
from deploy.report import wide_console

PAGE = Path(__file__).resolve().parents[2] / "docs" / "alerts-proof.md"
QUIET_SECONDS = 20.0


@dataclass
class Result:
    """`fired`: alert -> (what provoked it, what it said). `early`: those that fired while all was well."""

    fired: dict[str, tuple[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    early: set[str] = field(default_factory=set)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return not self.missing and not self.early and set(self.fired) >= set(alerts())


def prove(only: str, *, write: bool) -> int:
    """Returns the exit code: 0 when each alert fired for its reason and none without one."""
    console = wide_console()
    logger.remove()
    for library in ("psycopg.pool", "pika", "asyncio"):  # they would tell of every connection that is ended here
        logging.getLogger(library).setLevel(logging.CRITICAL)
    if owner_of(DIRECTORY) is not None:
        console.print("It is running already.", style="red")
        return 2
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    chosen = [each for each in PROVOCATIONS if not wanted or wanted & each.alerts]
    try:
        result = _run(chosen, console)
    except (ServerFailedError, AlreadyRunningError, TimeoutError) as error:
        console.print(f"The proof cannot start: {error}", style="red")
        return 2
    _print(result, console)
    if write:
        PAGE.write_text(page(result))
    return 0 if result.complete or (only and not result.missing and not result.early) else 1


def _run(chosen: list[Provocation], console: Console) -> Result:
    started, result = time.monotonic(), Result()
    with ExitStack() as leaving:
        fleet = leaving.enter_context(WatchedFleet(Stack(DIRECTORY, outside={})))
        prometheus = prometheus_for(fleet, DIRECTORY)
        prometheus.start()
        leaving.callback(prometheus.stop)
        log = OrderService(fleet.stack.rabbitmq.url, DIRECTORY / "orders.jsonl", None, seed=1)
        settings = DatabaseSettings(app_env="local", database_url=fleet.stack.postgres.url)
        db = Database(settings, application="alerts-proof")
        leaving.callback(db.close)
        scene = Scene(fleet, prometheus, log, db)
        _be_well(scene, result, console)
        for provocation in chosen:
            _provoke(scene, provocation, result, console)
    result.seconds = time.monotonic() - started
    return result


def _be_well(scene: Scene, result: Result, console: Console) -> None:
    console.print("The fleet works for a while; no alert may fire ...")
    scene.wait_until_quiet()  # while it starts, some rightly do
    scene.fired.clear()
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline:
        scene.order(3)
        result.early |= scene.look()
        time.sleep(1)
    console.print(f"  fired without a reason: {', '.join(sorted(result.early)) or 'none'}")
    scene.fired.clear()


def _provoke(scene: Scene, provocation: Provocation, result: Result, console: Console) -> None:
    console.print(f"{provocation.what} ...")
    missing = set(provocation.alerts)
    try:
        with provocation.how(scene):
            missing = scene.wait_for(set(provocation.alerts), lambda: provocation.keep(scene))
    except Exception as error:  # noqa: BLE001  a provocation that fails is told, and must not take the others along
        console.print(f"  it could not be done: {error!r}", style="red")
    for alert in provocation.alerts - missing:
        result.fired[alert] = (provocation.what, scene.fired[alert])
    result.missing |= dict.fromkeys(missing, provocation.what)
    beside = sorted(set(scene.fired) - provocation.alerts)
    console.print(f"  fired: {', '.join(sorted(provocation.alerts - missing)) or 'none'}")
    if missing:
        console.print(f"  did NOT fire: {', '.join(sorted(missing))}", style="red")
        console.print(f"  not scraped: {', '.join(scene.prometheus.not_scraped()) or 'none'}", style="red")
    console.print(f"  beside it: {', '.join(beside) or 'none'}", style="dim")
    scene.fleet.heal()
    scene.wait_until_quiet(30)
    scene.fired.clear()


def _print(result: Result, console: Console) -> None:
    table = Table("alert", "provoked by", "said")
    for alert in alerts():
        what, said = result.fired.get(alert, (result.missing.get(alert, "not tried"), "DID NOT FIRE"))
        table.add_row(alert, what, said)
    console.print(table)
    console.print(f"{len(result.fired)} of {len(alerts())} alerts fired, in {result.seconds:.0f} s")


def page(result: Result) -> str:
    moved = {alert for each in PROVOCATIONS if each.moved_time for alert in each.alerts}
    lines = [
        "# Each alert, fired once for real\n",
        "\nWritten by `fleet alerts-proof --write`: the whole fleet on one machine, with a Prometheus that scrapes "
        "each process\nevery other second. Windows of rates are shortened to seconds and `for` is left out. For "
        f"{', '.join(sorted(AGES))}\nthe age is shortened too. *(time moved)*: the owner of the schema moved a time, "
        "because days would have to pass.\n\n",
        "| alert | provoked by | it said |\n| --- | --- | --- |\n",
    ]
    for alert in alerts():
        what, said = result.fired.get(alert, (result.missing.get(alert, "not tried"), "**did not fire**"))
        lines.append(f"| {alert} | {what}{' *(time moved)*' if alert in moved else ''} | {said} |\n")
    early = ", ".join(sorted(result.early)) or "none"
    lines.append(f"\nWhile all was well and orders came in, these fired: {early}.\n")
    lines.append(f"{len(result.fired)} of {len(alerts())} fired, in {result.seconds:.0f} s.\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(prove("", write=False))
