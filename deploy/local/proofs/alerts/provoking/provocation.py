"""What a provocation is, and what several of them do: orders come in, money is asked back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import uuid4

from deploy.local.proofs.alerts.scene import Scene
from messages.base import Message
from messages.ids import PaymentId, TenantId
from outbox.append import append
from outbox.requests.refunds import request_refund


@dataclass(frozen=True, slots=True)
class Provocation:
    """`what` happens while the block of `how` is open; `keep` is done again and again meanwhile.

    `moved_time`: a time that would take days to come is moved in the database. `settle`: what lets its alerts end that
    an earlier provocation has left; they must be quiet before it begins.
    """

    what: str
    alerts: frozenset[str]
    how: Callable[[Scene], AbstractContextManager[None]]
    keep: Callable[[Scene], None] = lambda _scene: None
    moved_time: bool = False
    settle: Callable[[Scene], None] = lambda _scene: None


def orders(scene: Scene) -> None:
    scene.order(2)


def until_caught_up(scene: Scene) -> None:
    """What an earlier provocation has left lying is done, or it is said that its alert fired before."""
    standing: LiteralString = "SELECT FROM payments WHERE state IN ('requested', 'charging') LIMIT 1"
    with suppress(TimeoutError):
        scene.wait_until(lambda: not scene.rows(standing), "no payment stands", seconds=240)


def refunds(scene: Scene) -> None:
    """A payment that succeeded is given back, for some."""
    rows = scene.rows(
        "SELECT tenant_id, payment_id FROM payments p WHERE state = 'succeeded' AND NOT EXISTS "
        "(SELECT FROM refunds r WHERE r.payment_id = p.payment_id) LIMIT 3"
    )
    for tenant_id, payment_id in rows:
        give_back(scene, tenant_id, payment_id)


def give_back(scene: Scene, tenant_id: TenantId, payment_id: PaymentId) -> None:
    with scene.db.transaction(TenantId(tenant_id)) as tx:
        request_refund(
            tx,
            payment_id=PaymentId(payment_id),
            reason="requested_by_customer",
            source="ops",
            request_key=str(uuid4()),
            by="alerts-proof",
        )


def both(scene: Scene) -> None:
    orders(scene)
    refunds(scene)


def say(scene: Scene, message: Callable[[datetime], Message]) -> None:
    """A message of the scheduler's, before its time."""
    due_at: datetime = scene.one("SELECT clock_timestamp()")
    with scene.system() as tx:
        append(tx, message(due_at))


def stopped(*names: str) -> Callable[[Scene], AbstractContextManager[None]]:
    """These processes of the fleet are asked to stop, and come back afterwards."""

    @contextmanager
    def stop(scene: Scene) -> Iterator[None]:
        for name in names:
            scene.fleet.stop(name, 15)
        yield
        for name in names:
            scene.fleet.start(name)

    return stop
