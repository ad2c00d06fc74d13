"""Case 26: many ask for the money of one charge at once, through every door, and the book is pulled away meanwhile."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg

from deploy.local.proofs.chaos.cases import Scene, case
from deploy.local.scenario import events
from deploy.local.scenario.back_office import Request
from deploy.local.scenario.events import Publication
from messages.orders import RefundOfOrderRequested

LOCK_SECONDS = 4.0  # longer than a statement of the fleet waits for a lock
ANSWER_SECONDS = 240.0
# Of each charge: so many requests at the API for a ninth of it, and so many events that ask for an eighth.
BY_API, NINTH, BY_EVENT, EIGHTH = 20, 9, 12, 8


@case("26", "a storm of refunds on a few charges, while sessions end and rows are locked", short=True)
def storm(scene: Scene) -> Iterator[None]:
    """Nearly four times the money is asked for; what is left afterwards is too little for anybody who asked."""
    scene.until(lambda: len(scene.truth.whole_charges()) >= 3, "three charges of which nothing was given back")
    charges = scene.truth.whole_charges()[: scene.chance.randint(2, 3)]
    scene.note(f"{len(charges)} charges")
    requests = [request for charge in charges for request in _api_requests(charge)]
    scene.chance.shuffle(requests)
    with ThreadPoolExecutor(24) as pool, _rows_locked(scene, charges):
        answers = [pool.submit(_until_answered, scene, request) for request in requests]
        scene.load.service.publish_now([publication for charge in charges for publication in _events(charge)])
        for _ in range(scene.chance.randint(3, 6)):
            _end_sessions(scene)
            scene.after_orders(2)
    ints = [answer.result() for answer in answers]
    scene.note(f"{ints.count(202)} of {len(ints)} granted by the API")
    yield
    for charge in charges:
        _require_spent(scene, charge)


def _api_requests(charge: dict[str, Any]) -> list[Request]:
    amount = {"minor": charge["amount_minor"] // NINTH, "currency": charge["currency"]}
    path, storm_id = f"/payments/{charge['payment_id']}/refunds", uuid4().hex
    return [Request(charge["tenant_id"], path, {"amount": amount}, f"storm-{storm_id}-{n}") for n in range(BY_API)]


def _events(charge: dict[str, Any]) -> list[Publication]:
    whose = {"order_id": charge["order_id"], "tenant_id": charge["tenant_id"]}
    part = {"minor": charge["amount_minor"] // EIGHTH, "currency": charge["currency"]}
    asked, storm_id = whose | {"amount": part}, uuid4().hex
    return [events.request(RefundOfOrderRequested.event_type, asked, f"storm-{storm_id}-{n}") for n in range(BY_EVENT)]


@contextlib.contextmanager
def _rows_locked(scene: Scene, charges: list[dict[str, Any]]) -> Iterator[None]:
    """Somebody holds the payments' rows until every statement that waits for them has given up once."""
    with psycopg.connect(scene.fleet.stack.postgres.migration_url) as holder:
        ids = [charge["payment_id"] for charge in charges]
        holder.execute("SELECT FROM payments WHERE payment_id = ANY (%(ids)s::uuid[]) FOR UPDATE", {"ids": ids})
        holder.execute("SET LOCAL statement_timeout = 0")
        with ThreadPoolExecutor(1) as pool:
            letting_go = pool.submit(_hold, holder)
            yield
            letting_go.result()


def _hold(holder: psycopg.Connection) -> None:
    with contextlib.suppress(psycopg.OperationalError):  # this session may be ended as well
        holder.execute("SELECT pg_sleep(%(seconds)s)", {"seconds": LOCK_SECONDS})
        holder.rollback()


def _until_answered(scene: Scene, request: Request) -> int:
    statuses: list[int] = []

    def answered() -> bool:
        status = scene.load.office.ask(request)
        statuses.extend([] if status is None else [status])
        return bool(statuses)

    scene.until(answered, f"an answer to {request.path}", ANSWER_SECONDS)
    return statuses[0]


def _end_sessions(scene: Scene) -> None:
    whose = scene.chance.choice(["fleet-worker", "fleet-intake-api", "fleet-intake-orders", "fleet-%"])
    scene.truth.as_superuser(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %(whose)s", whose=whose
    )


def _require_spent(scene: Scene, charge: dict[str, Any]) -> None:
    """Never more than was captured (a constraint, and the checker), and no room was left that somebody asked for."""
    found = scene.truth.rows(
        """
        SELECT c.amount_minor - c.refunded_minor AS left,
               c.refunded_minor = (SELECT coalesce(sum(r.amount_minor), 0) FROM refunds r
                                   WHERE r.payment_id = c.payment_id
                                     AND r.state NOT IN ('failed', 'canceled', 'refused')) AS adds_up,
               EXISTS (SELECT FROM disputes d WHERE d.payment_id = c.payment_id) AS disputed,
               EXISTS (SELECT FROM refunds r WHERE r.payment_id = c.payment_id
                       AND r.state IN ('failed', 'canceled', 'refused')) AS came_back
        FROM charges c WHERE c.payment_id = %(id)s
        """,
        id=charge["payment_id"],
    )[0]
    charge_id, left = charge["charge_id"], found["left"]
    scene.require(left >= 0 and found["adds_up"], f"{charge_id}: what is reserved is not what its refunds add up to")
    room = left >= charge["amount_minor"] // EIGHTH
    scene.require(not room or found["disputed"] or found["came_back"], f"{charge_id}: {left} was left over")
