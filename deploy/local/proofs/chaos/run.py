"""`fleet prove chaos`: one fault after another against the whole fleet, while it sells and gives back; each is checked.

The order of the cases and all that a case chooses come from the seed alone; what the machine makes of it (which line
runs when) does not, so a seed replays the cases and not the instruction. Each case: the sale goes on, the fault is
injected and healed, the next success is waited for; then the sale pauses until the fleet is quiet, and the checker and
the bank's recorder look. At the end the rest of the sale is published without faults, everything drains, and they look
once more. The exit code is 0 only when that is clean and quiet.
"""

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import orjson
import psycopg
from rich.console import Console

from deploy.local.proofs.chaos.catalogue import all_cases
from deploy.local.proofs.chaos.load import AT_STRIPE, HABITS, REQUESTS, Load
from deploy.local.proofs.chaos.plan import Plan
from deploy.local.proofs.chaos.play import Play
from deploy.local.proofs.chaos.report import Outcome, print_outcome
from deploy.local.proofs.chaos.truth import Truth
from deploy.local.scenario import orders
from deploy.local.scenario.back_office import BackOffice
from deploy.local.scenario.buyers import Buyers
from deploy.local.scenario.fleet import Fleet
from deploy.local.scenario.kit import open_database
from deploy.local.scenario.order_service import OrderService
from deploy.local.scenario.recipients import register_recipients
from deploy.local.scenario.report import console_for, silence_logs
from deploy.local.scenario.stripe_side import StripeSide
from deploy.local.stack.ownership import AlreadyRunningError, owner_of
from deploy.local.stack.server import ServerFailedError
from deploy.local.stack.stack import CLONE, Stack

DIRECTORY = CLONE / ".local" / "chaos"
EX_CANNOT_START = 2
EX_INTERRUPTED = 130


def prove(plan: Plan, *, as_json: bool) -> int:
    """Returns the exit code: 0 clean and quiet, 1 not, 2 it could not start, 130 stopped half way."""
    console = console_for(as_json=as_json)
    silence_logs()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to stop: everything it started ends first
    try:
        plan.cases()
        outcome = _run(plan, console)
    except (ValueError, AlreadyRunningError, ServerFailedError, TimeoutError) as error:
        console.print(f"Chaos cannot start: {error}", style="red")
        return EX_CANNOT_START
    except KeyboardInterrupt:
        console.print("Stopped half way: this run says nothing.", style="red")
        return EX_INTERRUPTED
    print_outcome(console, outcome)
    if as_json:
        sys.stdout.write(orjson.dumps(outcome.as_dict(), option=orjson.OPT_INDENT_2).decode() + "\n")
    return 0 if outcome.clean else 1


def list_cases() -> int:
    for case in all_cases():
        print(f"{case.key:>4}  {case.title}{'  [short]' if case.short else ''}")
    return 0


def _run(plan: Plan, console: Console) -> Outcome:
    if (owner := owner_of(DIRECTORY)) is not None:
        raise AlreadyRunningError(f"chaos is already under way (process {owner})")
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    outcome = Outcome(plan.seed, plan.minutes, plan.orders, plan.only)
    console.print(f"Starting servers and fleet; data and logs lie in {DIRECTORY} ...")
    with Fleet(Stack(DIRECTORY, outside={})) as fleet, _stage(plan, fleet) as (truth, load):
        Play(plan, console, fleet, truth, load, outcome).run()
    reached = {result.key for result in outcome.results}
    outcome.not_reached = [case.key for case in plan.cases() if case.key not in reached]
    return outcome


# Whose venues and artists have accounts at Stripe, so that a part of all sales moves shares.
WITH_SHARES = frozenset({"Harbour Live", "Rhine Arena"})
# How many times the minutes asked for the cases may take before the sale runs out.
SPARE = 8


@contextmanager
def _stage(plan: Plan, fleet: Fleet) -> Iterator[tuple[Truth, Load]]:
    """The order service and its sale, spread over the minutes; those who give back; and those who look."""
    stack = fleet.stack
    environment = stack.environment()
    office = BackOffice(fleet.intake, environment, plan.seed)
    stripe_side = StripeSide(fleet.control(), environment, plan.seed, AT_STRIPE)
    with psycopg.connect(stack.postgres.migration_url, autocommit=True) as owner:
        sharing = [tenant for tenant in orders.tenants() if tenant.name in WITH_SHARES]
        register_recipients(owner, fleet.control(), sharing, sellers=0)
    sale = list(orders.publications(orders=plan.orders * SPARE, seed=plan.seed, run=uuid4().hex, habits=HABITS))
    buyers = Buyers(plan.seed, sale, REQUESTS)
    service = OrderService(stack.rabbitmq.url, stack.order_log, fleet.control(), plan.seed, buyers)
    rate = max(1.0, plan.orders / (plan.minutes * 60))
    with open_database(environment, "chaos") as db, service:
        load = Load(service, office, stripe_side, iter(sale), rate=rate, at_least=plan.orders)
        yield Truth(stack, fleet.control(), office, db), load
