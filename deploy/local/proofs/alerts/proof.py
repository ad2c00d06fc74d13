"""`fleet prove alerts`: provoke each alert, one reason after another, and list which fired and who was notified.

Before the first, the fleet works for a while and none may fire; before each, its alerts must be quiet; after it, what
was done is undone. Each provocation has an Alertmanager of its own, so that no earlier notification hides
a later one. A page for people lies in deploy/docs/alerts-proof.md, written by --write (page.py).
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from rich.console import Console
from rich.table import Table

from deploy.local.proofs.alerts import page
from deploy.local.proofs.alerts.alertmanager import Alertmanager
from deploy.local.proofs.alerts.impatience import alerts, impatient
from deploy.local.proofs.alerts.prometheus import Prometheus
from deploy.local.proofs.alerts.provoking import PROVOCATIONS, Provocation
from deploy.local.proofs.alerts.receiver import receiver
from deploy.local.proofs.alerts.result import Fired, Result
from deploy.local.proofs.alerts.scene import DIRECTORY, Scene, WatchedFleet
from deploy.local.scenario import orders
from deploy.local.scenario.kit import open_database
from deploy.local.scenario.minting import let_venues_mint
from deploy.local.scenario.order_service import OrderService
from deploy.local.scenario.recipients import register_recipients
from deploy.local.scenario.report import console_for, silence_logs
from deploy.local.stack.chain import anvil_binary
from deploy.local.stack.ownership import AlreadyRunningError, owner_of
from deploy.local.stack.server import ServerFailedError
from deploy.local.stack.stack import Stack

WARM_UP_SECONDS, SETTLED_SECONDS, WELL_SECONDS = 10.0, 10.0, 30.0
START_QUIET_SECONDS = 180.0


def prove(only: str, *, write: bool) -> int:
    """Returns the exit code: 0 when each alert fired for its reason and was delivered, and none without one."""
    console = console_for(as_json=False)
    silence_logs()
    if owner_of(DIRECTORY) is not None:
        console.print("It is running already.", style="red")
        return 2
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    strs = {name.strip() for name in only.split(",") if name.strip()}
    if unknown := strs - set(alerts()):
        console.print(f"There is no alert {', '.join(sorted(unknown))}.", style="red")
        return 2
    chosen = [each for each in PROVOCATIONS if not strs or strs & each.alerts]
    try:
        result = _run(chosen, console)
    except (ServerFailedError, AlreadyRunningError, TimeoutError) as error:
        console.print(f"The proof cannot start: {error}", style="red")
        return 2
    _print(result, console, everything=not strs)
    if write:
        page.PAGE.write_text(page.of(result))
    return 0 if (result.is_whole if not strs else result.is_well) else 1


def _run(chosen: list[Provocation], console: Console) -> Result:
    if anvil_binary() is None:
        console.print("There is no chain here (`make chain`): alerts of tokens cannot fire.", style="red")
    started, result = time.monotonic(), Result()
    with _scene() as scene:
        _be_well(scene, result, console)
        for provocation in chosen:
            _provoke(scene, provocation, result, console)
    result.seconds = time.monotonic() - started
    return result


@contextmanager
def _scene() -> Iterator[Scene]:
    """The whole fleet with venues that mint and have shares to send, and those who watch it."""
    with ExitStack() as leaving:
        fleet = leaving.enter_context(WatchedFleet(Stack(DIRECTORY, outside={})))
        with psycopg.connect(fleet.stack.postgres.migration_url, autocommit=True) as owner:
            let_venues_mint(owner)
            register_recipients(owner, fleet.control(), orders.tenants(), sellers=0)
        memory = fleet.stack.memory
        receiving = leaving.enter_context(receiver(memory.port("alert_receiver")))
        alertmanager = Alertmanager(DIRECTORY, memory, receiving)
        prometheus = Prometheus(DIRECTORY, memory, fleet.targets(), impatient(), alertmanager.address)
        for server in (alertmanager, prometheus):
            leaving.callback(server.stop)
            server.start()
        service = OrderService(fleet.stack.rabbitmq.url, DIRECTORY / "orders.jsonl", None, seed=1)
        db = leaving.enter_context(open_database(fleet.stack.environment(), "alerts-proof"))
        yield Scene(fleet, prometheus, alertmanager, service, db)


def _be_well(scene: Scene, result: Result, console: Console) -> None:
    """Processes that have just started are slow at first (the first webhook of each pays for its connections), and that
    stays in the windows: so the fleet warms up, and what it did then is over before anybody counts.
    """
    console.print("The fleet warms up, and works for a while; no alert may fire ...")
    _work(scene, WARM_UP_SECONDS)
    scene.wait_until_quiet(seconds=START_QUIET_SECONDS, lasting=SETTLED_SECONDS)
    scene.fired.clear()
    _work(scene, WELL_SECONDS)
    result.early = dict(scene.fired)
    result.load = os.getloadavg()[0]
    for alert, said in result.early.items():
        console.print(f"  fired without a reason: {alert}: {said}", style="red")
    console.print(f"  {len(result.early)} fired without a reason; the machine's load was {result.load:.1f}")


def _work(scene: Scene, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        scene.order(3)
        scene.look()
        time.sleep(1)


def _provoke(scene: Scene, provocation: Provocation, result: Result, console: Console) -> None:
    console.print(f"{provocation.what} ...")
    strs = set(provocation.alerts)
    provocation.settle(scene)
    before = scene.wait_until_quiet(strs)
    scene.fired.clear()
    scene.alertmanager.start_afresh()
    missing, where = strs, dict[str, str]()
    try:
        with provocation.how(scene):
            missing = scene.wait_for(strs, lambda: provocation.keep(scene)) | before
            where = scene.wait_for_delivery(strs - missing, lambda: provocation.keep(scene))
    except Exception as error:  # noqa: BLE001  a provocation that fails is reported, and must not take the others along
        console.print(f"  it could not be done: {error!r}", style="red")
    for alert in strs - missing:
        fired = Fired(provocation.what, scene.fired[alert], where.get(alert, ""), moved_time=provocation.moved_time)
        result.note(alert, fired)
    result.missing |= dict.fromkeys(missing, provocation.what)
    result.refused += [each for each in scene.alertmanager.receiver.notifications if not each.is_taken]
    result.messages.update(each.by for each in scene.alertmanager.receiver.notifications)
    _tell(scene, result, provocation, before, missing, console)
    scene.fleet.heal()
    scene.control.clear_faults()  # of a provocation that broke off


def _tell(
    scene: Scene, result: Result, provocation: Provocation, before: set[str], missing: set[str], console: Console
) -> None:
    for alert in sorted(provocation.alerts - missing):
        where = result.fired[alert].sent_to or "NOBODY"
        console.print(f"  {alert} -> {where}", style="" if result.fired[alert].sent_to else "red")
    if before:
        console.print(f"  fired before it was provoked: {', '.join(sorted(before))}", style="red")
    if missing:
        console.print(f"  did NOT fire: {', '.join(sorted(missing))}", style="red")
        console.print(f"  not scraped: {', '.join(scene.prometheus.not_scraped()) or 'none'}", style="red")
    beside = sorted(set(scene.fired) - provocation.alerts)
    console.print(f"  beside it: {', '.join(beside) or 'none'}", style="dim")


def _print(result: Result, console: Console, *, everything: bool) -> None:
    table = Table("alert", "triggered by", "sent to", "summary")
    for alert in alerts():
        fired = result.fired.get(alert)
        if fired is not None:
            table.add_row(alert, fired.by, fired.sent_to or "NOBODY", fired.said)
        elif everything or alert in result.missing:
            table.add_row(alert, result.missing.get(alert, "not tried"), "", "DID NOT FIRE")
    console.print(table)
    for each in result.refused:
        console.print(f"{each.by} would have refused {each.alert or each.content}: {each.why_refused}", style="red")
    console.print(result.figures())


if __name__ == "__main__":
    sys.exit(prove("", write=False))
