"""What a proof has at hand on the stack of `fleet up`: started for it alone, with its own settings, stopped afterwards.

def question(kit: Kit) -> bool: ...
exit_code = hold("day", question, settings=IMPATIENT)
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from pydantic import SecretStr
from rich.console import Console

from db.session import Database
from db.settings import DatabaseSettings
from db.tenants import tenants
from deploy.local.scenario import orders
from deploy.local.scenario.buyers import Buyers
from deploy.local.scenario.order_service import OrderService
from deploy.local.stack.ownership import owner_of
from deploy.local.stack.stack import Stack
from deploy.local.stack.up import down, up
from deploy.local.stripe.control import EmulatorControl
from deploy.report import wide_console
from messages.runtime.settings import AppEnv
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from workers.minting.settings import ContractSettings
from workers.verify.report import Report
from workers.verify.verify import OrderServiceLog, verify

EX_RUNNING_ALREADY = 75
EX_NO_EMULATOR = 78
# A proof lasts minutes, so its patience is that of minutes as well.
IMPATIENT = {
    "SWEEP_AFTER_SECONDS": "10",
    "EVENT_SWEEP_SETTLE_SECONDS": "2",
    "RECONCILE_GRACE_SECONDS": "2",
    "RECONCILE_AUTO_FIX_SECONDS": "5",
    # Money is available at once, so that payouts have something to pay out.
    "STRIPE_EMULATOR_FUNDS_DELAY_SECONDS": "1",
}


@dataclass(frozen=True, slots=True)
class Kit:
    """`owner`: the schema's owner, who registers tenants and lets time pass."""

    console: Console
    stack: Stack
    environment: Mapping[str, str]
    db: Database
    gateway: Gateway
    control: EmulatorControl
    owner: psycopg.Connection[Any]

    def order_service(self, seed: int, buyers: Buyers | None = None) -> OrderService:
        return OrderService(
            self.environment["RABBITMQ_URL"], self.stack.order_log, self.control, seed, buyers or Buyers.none()
        )

    def verify(self, contract: ContractSettings | None = None) -> Report:
        log = OrderServiceLog.read(self.stack.order_log)
        return verify(self.db, self.gateway, self.environment["RABBITMQ_URL"], log, contract)


def hold(
    name: str,
    question: Callable[[Kit], bool],
    *,
    settings: Mapping[str, str],
    keep: bool = False,
    joins: bool = False,
) -> int:
    """Start the fleet with these settings, ask, and stop it; the exit code is 0 when the answer is yes.

    `keep` leaves it running; `joins`: a fleet that runs already will do, and is left running too.
    """
    console, stack = wide_console(), Stack()
    runs = owner_of(stack.directory) is not None
    if runs and not joins:
        console.print(f"A fleet is running here already; stop it first (`make down`): {name} needs its own settings.")
        return EX_RUNNING_ALREADY
    if not stack.uses_emulator:
        console.print(f"{name} plays with the Stripe emulator only, and STRIPE_SECRET_KEY names another Stripe.")
        return EX_NO_EMULATOR
    os.environ.update(settings)
    if not runs and (failed := up({}, detach=True)) != 0:
        return failed
    try:
        os.environ.update(stack.environment())
        with kit_of(stack, console, name) as kit:
            return 0 if question(kit) else 1
    finally:
        if not (keep or runs):
            down()


@contextmanager
def kit_of(stack: Stack, console: Console, name: str) -> Iterator[Kit]:
    """For a stack that runs; the tenants of orders.py are registered."""
    environment = stack.environment()
    with ExitStack() as leaving:
        db = leaving.enter_context(open_database(environment, f"fleet-{name}"))
        owner = leaving.enter_context(psycopg.connect(environment["MIGRATION_DATABASE_URL"], autocommit=True))
        tenants.register(owner, orders.tenants())
        yield Kit(console, stack, environment, db, open_gateway(environment), stack.emulator_control(), owner)


@contextmanager
def open_database(environment: Mapping[str, str], application: str) -> Iterator[Database]:
    """As the fleet's own processes get in."""
    url = SecretStr(environment["DATABASE_URL"])
    with closing(Database(DatabaseSettings(app_env=AppEnv.LOCAL, database_url=url), application=application)) as db:
        yield db


def open_gateway(environment: Mapping[str, str]) -> Gateway:
    key = SecretStr(environment["STRIPE_SECRET_KEY"])
    base = environment["STRIPE_API_BASE"]
    return Gateway(StripeSettings(app_env=AppEnv.LOCAL, stripe_secret_key=key, stripe_api_base=base))
