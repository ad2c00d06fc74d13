"""What is true after a fault: has everything come to rest, does the checker agree, and does the bank's own recorder?"""

import contextlib
from datetime import datetime
from typing import Any

import psycopg
from pika.exceptions import AMQPError
from psycopg.rows import dict_row

from db.session import Database
from deploy.local.scenario.back_office import BackOffice
from deploy.local.scenario.kit import open_gateway
from deploy.local.scenario.recorder import BOOKED_CHARGES, BOOKED_REFUNDS, Sums, compare
from deploy.local.stack.stack import Stack
from deploy.local.stripe.control import EmulatorControl
from messages.base import Message
from messages.verdicts import Verdict
from outbox.append import append
from outbox.broker import topology
from workers.verify.report import NOT_OURS_TO_MOVE, Report
from workers.verify.verify import OrderServiceLog, verify

AWAY = (psycopg.OperationalError, AMQPError, OSError, Verdict)
# With the buyer or the bank, or a retry whose payment is settled already: nothing of ours will come of it.
_MAY_WAIT = NOT_OURS_TO_MOVE | {"messages under way"}


class Truth:
    """Looks at everything directly, past the wires."""

    def __init__(self, stack: Stack, control: EmulatorControl, office: BackOffice, db: Database) -> None:
        environment = stack.environment()
        self._owner_url = environment["MIGRATION_DATABASE_URL"]
        self._superuser_url = stack.postgres.superuser_url()
        self._broker_url = environment["RABBITMQ_URL"]
        self._control = control
        self._log = stack.order_log
        self._office = office
        self.db = db
        self._stripe = open_gateway(environment)

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Read the book as its owner, who sees every tenant."""
        with psycopg.connect(self._owner_url, autocommit=True, row_factory=dict_row) as owner:
            return owner.execute(statement, values).fetchall()

    def change(self, statement: str, **values: Any) -> int:
        """Let time pass in the book, as its owner; returns how many rows."""
        with psycopg.connect(self._owner_url, autocommit=True) as owner:
            return owner.execute(statement, values).rowcount

    def queue(self, *messages: Message) -> None:
        """Append messages as the platform's own work."""
        with self.db.system_transaction() as tx:
            append(tx, *messages)

    def count(self, statement: str, **values: Any) -> int:
        return int(self.rows(f"SELECT count(*) AS n FROM {statement}", **values)[0]["n"])

    def whole_charges(self) -> list[dict[str, Any]]:
        """The latest charges of which nothing was given back, and which nobody disputes."""
        return self.rows(
            """
            SELECT c.tenant_id::text, c.payment_id::text, c.charge_id, c.amount_minor, c.currency, p.order_id::text
            FROM charges c JOIN payments p USING (tenant_id, payment_id)
            WHERE c.refunded_minor = 0 AND c.amount_minor >= 1000
              AND NOT EXISTS (SELECT FROM disputes d WHERE d.payment_id = c.payment_id)
            ORDER BY c.recorded_at DESC LIMIT 10
            """
        )

    def held_payments(self) -> list[dict[str, Any]]:
        """The oldest whose amount is held, and of which nothing was decided."""
        return self.rows(
            "SELECT tenant_id::text, payment_id::text FROM payments WHERE state = 'authorized' "
            "AND capture_requested_minor IS NULL AND cancel_requested_at IS NULL ORDER BY state_since LIMIT 4"
        )

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
        report = verify(self.db, self._stripe, self._broker_url, OrderServiceLog.read(self._log))
        totals = report.totals
        sums = Sums(
            totals["lost"],
            totals["duplicated"],
            totals["unexpected"],
            totals["unexplained_minor"],
            findings=list(report.findings),
        )
        compare(sums, self._control.effects(), self.rows(BOOKED_CHARGES), self.rows(BOOKED_REFUNDS))
        self._require_promises(sums)
        return sums, report

    def _require_promises(self, sums: Sums) -> None:
        """What the API has accepted is in the book, whatever became of it then (M5)."""
        promised = self._office.promised.copy()
        known = {row["refund_id"] for row in self.rows("SELECT refund_id::text FROM refunds")}
        for refund_id in sorted(promised - known):
            sums.lost += 1
            sums.findings.append(f"refund {refund_id} was promised by the API and is nowhere")

    @staticmethod
    def unsettled(report: Report, *, to_the_last: bool) -> str:
        """What the checker counts as waiting, in words; empty when everything has come to rest."""
        may_wait = NOT_OURS_TO_MOVE if to_the_last else _MAY_WAIT
        waiting = {
            kind: count.waiting for kind, count in report.kinds.items() if count.waiting and kind not in may_wait
        }
        return ", ".join(f"{count} {kind}" for kind, count in waiting.items())


_DEAD = "EXISTS (SELECT FROM dead_letters d WHERE d.payment_id = {}.payment_id AND d.state = 'open')"
_MOVING = f"""
    SELECT
        (SELECT count(*) FROM payments p
            WHERE state IN ('requested', 'charging') AND NOT {_DEAD.format("p")}) AS payments,
        (SELECT count(*) FROM payments p WHERE NOT {_DEAD.format("p")} AND (
            cancel_requested_at IS NOT NULL AND state NOT IN ('succeeded', 'canceled')
            OR capture_requested_minor IS NOT NULL AND state = 'authorized')) AS "captures and cancellations",
        (SELECT count(*) FROM refunds r
            WHERE state IN ('requested', 'sending') AND NOT {_DEAD.format("r")}) AS refunds,
        (SELECT count(*) FROM disputes s
            WHERE wish IS NOT NULL AND wish_refused IS NULL AND submitted_at IS NULL
            AND status IN ('warning_needs_response', 'needs_response') AND NOT {_DEAD.format("s")}) AS answers,
        (SELECT count(*) FROM transfers WHERE state IN ('requested', 'sending')) AS transfers,
        (SELECT count(*) FROM transfer_reversals WHERE state IN ('requested', 'sending')) AS reversals,
        (SELECT count(*) FROM event_cancellations
            WHERE state IN ('running', 'waiting_for_balance')) AS "mass cancellations",
        (SELECT count(*) FROM outbox o WHERE due_at <= clock_timestamp()
            OR o.ordering_key IS NULL OR NOT EXISTS (
            SELECT FROM payments p WHERE p.payment_id = o.ordering_key
            AND p.state IN ('succeeded', 'failed', 'canceled'))) AS messages,
        (SELECT count(*) FROM webhook_inbox WHERE state IN ('pending', 'unmatched')) AS events
"""
