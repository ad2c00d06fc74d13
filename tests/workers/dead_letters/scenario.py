"""What a test of replay is made of: payments, their dead letters, and the operator, workers and relay around them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import psycopg

from db.dead_letters import dead_letters, replay_batches
from db.dead_letters import views as dead_letter_views
from db.dead_letters.dead_letters import DeadLetter
from db.dead_letters.views import DeadLetterFilter
from db.payments.payments import Payment
from db.session import Database
from messages.payments import ChargeRequested
from messages.replays import ClassifyDue, ReplayDue
from outbox.ops.session import Operator
from outbox.requests.operators import replays
from outbox.sealing import Sealer
from stripe_client.gateway import Gateway
from tests import factories
from workers.dead_letters.classify import classify
from workers.dead_letters.replay import replay
from workers.payments.charge import charge
from workers.runtime import actor
from workers.runtime.actor import ACTORS


@dataclass(frozen=True)
class Workshop:
    db: Database
    owner: psycopg.Connection
    gateway: Gateway
    sealer: Sealer
    operator: Operator

    def payment(self, **changes: Any) -> Payment:
        """One that the intake has just accepted, of a tenant of its own."""
        return factories.requested(self.db, factories.tenant(self.owner), **changes)

    def charge(self, payment: Payment) -> None:
        charge(ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), self.db, self.gateway)

    def dead_charge(self, payment: Payment) -> UUID:
        """The letter of a charge message that gave up."""
        original = orjson.dumps({"tenant_id": str(payment.tenant_id), "payment_id": str(payment.payment_id)})
        letter = DeadLetter(
            source="worker",
            reason="tries used up",
            payload=original.decode(),
            original=original,
            sealed=self.sealer.seal(original),
            tenant_id=payment.tenant_id,
            payment_id=payment.payment_id,
            message_id=str(payment.payment_id),
            kind="charge",
            queue="charges",
        )
        with self.db.system_transaction() as tx:
            assert dead_letters.bury(tx, letter)
        with self.db.ops_transaction() as tx:
            return dead_letter_views.find(tx, DeadLetterFilter(payment_id=payment.payment_id))[0].dead_letter_id

    def classified(self, operator: Operator | None = None) -> UUID:
        """A batch of every open dead letter, classified."""
        with (operator or self.operator).transaction() as acting:
            batch, _ = replays.preview(
                acting, DeadLetterFilter(), reason="the world is well again", rate_per_second=1000
            )
        classify(ClassifyDue(batch_id=batch), self.db, self.gateway)
        return batch

    def start(self, batch: UUID, operator: Operator | None = None) -> str:
        with (operator or self.operator).transaction() as acting:
            return replays.start(acting, batch)

    def run(self, batch: UUID) -> None:
        replay(ReplayDue(batch_id=batch), self.db, self.gateway)

    def replayed(self) -> UUID:
        """The same batch, begun and run."""
        batch = self.classified()
        assert self.start(batch) == "running"
        self.run(batch)
        return batch

    def deliver(self) -> None:
        """What relay and worker do with the charges that a replay appended."""
        rows = self.owner.execute("SELECT body FROM outbox WHERE kind = 'charge' ORDER BY id").fetchall()
        messages: list[dict[str, Any]] = [orjson.loads(row[0]) for row in rows]
        for message in messages:
            if message["options"].get("replayed"):
                envelope = actor.envelope_of(message["message_id"], message["options"])
                actor.run(ACTORS["charge"], message["kwargs"]["payload"], envelope, self.db, self.gateway, self.sealer)

    def items_of(self, batch: UUID) -> list[tuple[str | None, str]]:
        with self.db.ops_transaction() as tx:
            return [(item.class_, item.state) for item in replay_batches.items(tx, batch)]

    def state_of(self, letter: UUID) -> str:
        with self.db.ops_transaction() as tx:
            return dead_letter_views.find(tx, DeadLetterFilter(ids=(letter,), state=None))[0].state

    def appended_charges(self) -> int:
        row = self.owner.execute("SELECT count(*) FROM outbox WHERE kind = 'charge'").fetchone()
        assert row is not None
        return int(row[0])
