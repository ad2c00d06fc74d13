"""A group as its tests drive it: opened by event, paid, and every queued message carried out as the workers would."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg

from db.groups import contributions, groups
from db.groups.contributions import Contribution, ContributionPayment
from db.groups.groups import Group
from db.groups.states import GroupState
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.queues import kind_to_message
from messages.verdicts import TryAgain, TryLater
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from stripe_client.gateway import Gateway
from tests import factories
from workers.groups import group
from workers.payments import cancel, capture, charge
from workers.payments import look_up as payment_look_up
from workers.refunds import refund
from workers.runtime.actor import ACTORS

__all__ = ["cancel", "capture", "charge", "group", "payment_look_up", "refund"]  # each registers its actor

HELD, DECLINED = "pm_card_visa", "pm_card_visa_chargeDeclined"
THREE_D_SECURE = "pm_card_threeDSecure2Required"
CARRIED = ("charge", "capture", "cancel", "refund", "group", "cancel_group", "lookup")


@dataclass
class Party:
    """One group and those who pay it."""

    db: Database
    owner: psycopg.Connection
    gateway: Gateway
    tenant: Tenant
    data: dict[str, Any]

    @classmethod
    def opened(
        cls, db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant, *shares: int, **changes: Any
    ) -> "Party":
        party = cls(db, owner, gateway, tenant, factories.group(tenant, shares or (2000, 2000, 2000), **changes))
        assert party.tell("opened", party.data) is OrderOutcome.ACCEPTED
        return party

    @property
    def group_id(self) -> UUID:
        return UUID(self.data["group_id"])

    def tell(self, word: str, data: dict[str, Any]) -> OrderOutcome:
        return accept(self.db, [IncomingEvent(factories.group_event(word, data))])[0]

    def share(self, place: int, card: str = HELD, **changes: Any) -> dict[str, Any]:
        """The data of `order.group_share_paid_with` for one member, with a key of its own."""
        return factories.share(self.data, place, payment_method_id=card, **changes)

    def pay(self, *places: int, card: str = HELD, **changes: Any) -> None:
        for place in places:
            assert self.tell("share_paid_with", self.share(place, card, **changes)) is OrderOutcome.ACCEPTED

    def top_up(self, card: str = HELD) -> OrderOutcome:
        means = {"payment_method_id": card, "idempotency_key": f"click-{uuid4()}"}
        return self.tell(
            "topped_up", {"group_id": self.data["group_id"], "tenant_id": str(self.tenant.tenant_id)} | means
        )

    def call_off(self) -> OrderOutcome:
        return self.tell("cancelled", {"group_id": self.data["group_id"], "tenant_id": str(self.tenant.tenant_id)})

    def due(self) -> list[tuple[int, str, dict[str, Any]]]:
        rows = self.owner.execute(
            "SELECT id, kind, body FROM outbox WHERE exchange = '' AND kind = ANY (%s) AND due_at <= clock_timestamp() "
            "ORDER BY due_at, id",
            [list(CARRIED)],
        ).fetchall()
        return [(row[0], row[1], orjson.loads(row[2])["kwargs"]["payload"]) for row in rows]

    def carry_out(self, *kinds: str, but: Sequence[str] = ()) -> None:
        """Run what is due, again and again until nothing is; of some kinds alone, or of all but some."""
        for _ in range(100):
            ready = [one for one in self.due() if (not kinds or one[1] in kinds) and one[1] not in but]
            if not ready:
                return
            for row, kind, payload in ready:
                self.owner.execute("DELETE FROM outbox WHERE id = %s", [row])
                self.deliver(kind, payload)
        raise AssertionError("the fleet does not come to rest")

    def deliver(self, kind: str, payload: dict[str, Any]) -> None:
        """One delivery; a retry is delivered again at once."""
        message = kind_to_message()[kind].model_validate(payload)
        for _ in range(5):
            try:
                ACTORS[kind].handler(message, self.db, self.gateway)
            except (TryAgain, TryLater):
                continue
            return
        raise AssertionError(f"{kind} does not come to its end")

    def wake(self) -> None:
        self.deliver("group", {"tenant_id": str(self.tenant.tenant_id), "group_id": str(self.group_id)})

    def let_deadline_pass(self) -> None:
        """The deadline lies a second back, and its message is due."""
        let_deadline_pass(self.owner, self.group_id)

    def group(self) -> Group:
        with self.db.transaction(self.tenant.tenant_id) as tx:
            found = groups.get(tx, self.group_id)
        assert found is not None
        return found

    @property
    def state(self) -> str:
        return self.group().state.value

    def shares(self) -> list[Contribution]:
        with self.db.transaction(self.tenant.tenant_id) as tx:
            return contributions.of_group(tx, self.group_id)

    def members(self) -> list[str]:
        return [share.state.value for share in self.shares()]

    def attempts(self) -> list[ContributionPayment]:
        with self.db.transaction(self.tenant.tenant_id) as tx:
            return contributions.attempts(tx, self.group_id)

    def history(self) -> list[str]:
        rows = self.owner.execute("SELECT to_state FROM group_history ORDER BY seq").fetchall()
        return [GroupState(row[0]) for row in rows]

    def member_history(self, place: int) -> list[str]:
        rows = self.owner.execute(
            "SELECT to_state FROM group_member_history WHERE member_id = %s ORDER BY seq",
            [self.data["members"][place]["member_id"]],
        ).fetchall()
        return [row[0] for row in rows]

    def told(self) -> list[str]:
        """Types of the facts about the group, in order."""
        rows = self.owner.execute("SELECT kind FROM outbox WHERE kind LIKE 'group.%' ORDER BY id").fetchall()
        return [row[0] for row in rows]

    def buried(self) -> list[str]:
        return [row[0] for row in self.owner.execute("SELECT reason FROM dead_letters ORDER BY died_at").fetchall()]


def let_deadline_pass(owner: psycopg.Connection, group_id: UUID) -> None:
    """What was opened cannot change, so its guard is lifted; the table's lock keeps everybody out meanwhile."""
    with owner.transaction():
        owner.execute("ALTER TABLE groups DISABLE TRIGGER a_group_moves_legally")
        owner.execute("UPDATE groups SET deadline = clock_timestamp() - interval '1 s' WHERE group_id = %s", [group_id])
        owner.execute("ALTER TABLE groups ENABLE TRIGGER a_group_moves_legally")
        owner.execute(
            "UPDATE outbox SET due_at = clock_timestamp() WHERE kind = 'group' AND ordering_key = %s", [group_id]
        )


def effects(control: EmulatorControl) -> Counter[str]:
    return Counter(effect["kind"] for effect in control.effects())
