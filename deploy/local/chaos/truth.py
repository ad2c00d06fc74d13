"""What is true after a fault: has everything come to rest, does the checker agree, and does the bank's own recorder?"""

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from pika.exceptions import AMQPError
from psycopg.rows import dict_row
from pydantic import SecretStr

from db.session import Database
from db.settings import DatabaseSettings
from deploy.local.stack import Stack
from deploy.local.stripe.control import EmulatorControl
from messages.settings import AppEnv
from messages.verdicts import Verdict
from outbox import topology
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from workers.verify import Asked, verify
from workers.verify_report import Report

AWAY = (psycopg.OperationalError, AMQPError, OSError, Verdict)
# With the buyer or the bank, or a retry whose payment is settled already: nothing of ours will come of it.
_MAY_WAIT = frozenset({"payments with buyer or bank", "messages under way"})


@dataclass(slots=True)
class Sums:
    """What must be zero, as found at one moment; `findings` says it in words."""

    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    unexplained_minor: int = 0
    charges: int = 0  # at the bank; the only number that need not be zero
    findings: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.unexpected or self.unexplained_minor)

    def beyond(self, before: "Sums") -> "Sums":
        """What is new since `before`."""
        return Sums(
            max(0, self.lost - before.lost),
            max(0, self.duplicated - before.duplicated),
            max(0, self.unexpected - before.unexpected),
            max(0, self.unexplained_minor - before.unexplained_minor),
            self.charges - before.charges,
            [finding for finding in self.findings if finding not in before.findings],
        )


class Truth:
    """Looks at everything directly, past the wires."""

    def __init__(self, stack: Stack, control: EmulatorControl, log: Path) -> None:
        environment = stack.environment()
        self._owner_url = environment["MIGRATION_DATABASE_URL"]
        self._superuser_url = stack.postgres.superuser_url()
        self._broker_url = environment["RABBITMQ_URL"]
        self._control = control
        self._log = log
        self.db = Database(
            DatabaseSettings(app_env=AppEnv.LOCAL, database_url=SecretStr(environment["DATABASE_URL"])),
            application="chaos",
        )
        self._stripe = Gateway(
            StripeSettings(
                app_env=AppEnv.LOCAL,
                stripe_secret_key=SecretStr(environment["STRIPE_SECRET_KEY"]),
                stripe_api_base=environment["STRIPE_API_BASE"],
            )
        )

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Read the book as its owner, who sees every tenant."""
        with psycopg.connect(self._owner_url, autocommit=True, row_factory=dict_row) as owner:
            return owner.execute(statement, values).fetchall()

    def change(self, statement: str, **values: Any) -> int:
        """Let time pass in the book, as its owner; returns how many rows."""
        with psycopg.connect(self._owner_url, autocommit=True) as owner:
            return owner.execute(statement, values).rowcount

    def count(self, statement: str, **values: Any) -> int:
        return int(self.rows(f"SELECT count(*) AS n FROM {statement}", **values)[0]["n"])

    def as_superuser(self, statement: str, **values: Any) -> int:
        with psycopg.connect(self._superuser_url, autocommit=True) as superuser:
            return superuser.execute(statement, values).rowcount

    def depths(self) -> dict[str, int]:
        return topology.depths(self._broker_url)

    def success_since(self, moment: datetime) -> datetime | None:
        """When the first payment after that moment succeeded."""
        with contextlib.suppress(*AWAY):
            found: datetime | None = self.rows(
                "SELECT min(at) AS at FROM payment_history WHERE to_state = 'succeeded' AND at > %(moment)s",
                moment=moment,
            )[0]["at"]
            return found
        return None

    def moving(self) -> str:
        """Payments, messages and events on which work is due, in words; a retry of a settled payment will find nothing
        to do, and does not count.
        """
        found = {**self.rows(_MOVING)[0], **self.depths()}
        return ", ".join(f"{count} {what}" for what, count in found.items() if count > 0)

    def look(self) -> tuple[Sums, Report]:
        """The checker, and the bank's recorder beside it."""
        report = verify(self.db, self._stripe, self._broker_url, Asked.read(self._log))
        totals = report.totals
        sums = Sums(
            totals["lost"],
            totals["duplicated"],
            totals["unexpected"],
            totals["unexplained_minor"],
            0,
            list(report.findings),
        )
        self._compare_recorder(sums)
        return sums, report

    @staticmethod
    def unsettled(report: Report, *, to_the_last: bool) -> str:
        """What the checker counts as waiting, in words; empty when everything has come to rest."""
        may_wait = frozenset() if to_the_last else _MAY_WAIT
        may_wait |= {"payments with buyer or bank"}
        waiting = {
            kind: count.waiting for kind, count in report.kinds.items() if count.waiting and kind not in may_wait
        }
        return ", ".join(f"{count} {kind}" for kind, count in waiting.items())

    def _compare_recorder(self, sums: Sums) -> None:
        """Each charge the bank made is in the book with its amount, once; the checker did not write this list (M1)."""
        effects = [effect for effect in self._control.effects() if effect["kind"] == "charge"]
        sums.charges = len(effects)
        made = Counter(effect["metadata"]["payment_id"] for effect in effects)
        twice = {payment: times - 1 for payment, times in made.items() if times > 1}
        sums.duplicated = max(sums.duplicated, sum(twice.values()))
        sums.findings += [
            f"the recorder has {extra + 1} charges of payment {payment}" for payment, extra in twice.items()
        ]
        booked = {row["payment_id"]: (row["amount_minor"], row["currency"]) for row in self.rows(_BOOKED)}
        for effect in effects:
            payment, money = effect["metadata"]["payment_id"], (effect["amount"], effect["currency"])
            if payment in booked and booked[payment] != money:
                sums.unexpected += 1
                sums.findings.append(f"payment {payment}: the recorder has {money}, the book {booked[payment]}")
        for payment in booked.keys() - made.keys():
            sums.unexpected += 1
            sums.findings.append(f"payment {payment} is charged in the book, and the recorder knows nothing of it")

    def close(self) -> None:
        self.db.close()


_BOOKED = """
    SELECT p.payment_id::text, c.amount_minor, c.currency FROM payments p JOIN charges c USING (tenant_id, payment_id)
"""
_MOVING = """
    SELECT
        (SELECT count(*) FROM payments p WHERE state IN ('requested', 'charging') AND NOT EXISTS (
            SELECT FROM dead_letters d WHERE d.payment_id = p.payment_id AND d.state = 'open')) AS payments,
        (SELECT count(*) FROM outbox o WHERE due_at <= clock_timestamp()
            OR o.ordering_key IS NULL OR NOT EXISTS (
            SELECT FROM payments p WHERE p.payment_id = o.ordering_key
            AND p.state IN ('succeeded', 'failed', 'canceled'))) AS messages,
        (SELECT count(*) FROM webhook_inbox WHERE state IN ('pending', 'unmatched')) AS events
"""
