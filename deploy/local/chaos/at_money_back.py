"""Cases 3-8 and 26 where money comes back: refunds, captures and cancellations meet what Stripe and the book may do."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import urllib3

from deploy.local.chaos.at_stripe import A_DAY_AND_AN_HOUR, HANGS_SECONDS, TOO_LONG_SECONDS, let_time_pass
from deploy.local.chaos.back_office import Request
from deploy.local.chaos.cases import Scene, case
from deploy.local.day.order_service import wish
from messages.orders import RefundOfOrderRequested
from stripe_client import payment_intents, refunds

# With a key of the fleet; the dashboard sends none.
REFUND: dict[str, Any] = {"method": "POST", "path": "/v1/refunds", "key": f"{refunds.CREATE}:*"}
CAPTURE: dict[str, Any] = {"method": "POST", "path": "/v1/payment_intents/*/capture"}
CANCEL: dict[str, Any] = {"method": "POST", "path": "/v1/payment_intents/*/cancel"}
STRIKE_SECONDS = 120.0
ANOTHER_BODY = "the same key was used with another body"  # as stripe_client/errors.py says it
LOCK_SECONDS = 4.0  # longer than a statement of the fleet waits for a lock


def _strike(scene: Scene, *effects: tuple[str, dict[str, Any]], firings: int, webhooks: bool = True) -> None:
    """These faults on refunds, captures and cancellations alike, until each of the three was struck."""
    goals = [(REFUND, firings), (CAPTURE, 2), (CANCEL, 1)]
    scene.note(f"{firings} refunds, 2 captures, a cancellation")
    try:
        if not webhooks:
            scene.control.add_fault("webhook_drop")
        added = [
            ({scene.control.add_fault(effect, **calls, **details) for effect, details in effects}, goal)
            for calls, goal in goals
        ]

        def all_struck() -> bool:
            rules = scene.control.faults()
            fired = [sum(rule["fired"] for rule in rules if rule["id"] in ids) for ids, _ in added]
            return all(times >= goal for times, (_, goal) in zip(fired, added, strict=True))

        scene.until(all_struck, f"{', '.join(effect for effect, _ in effects)} where money comes back", STRIKE_SECONDS)
    finally:
        scene.control.clear_faults()


@case("3b", "Stripe gives back, captures, cancels, and never answers", short=True)
def no_answer(scene: Scene) -> Iterator[None]:
    late = {"probability": 0.2, "seconds": TOO_LONG_SECONDS}
    effects = [("drop_after", {"probability": 0.4}), ("truncate_body", {"probability": 0.3}), ("slow_execution", late)]
    _strike(scene, *effects, firings=scene.chance.randint(4, 8))
    yield


@case("4b", "the same, answered with 500, and that answer is kept", short=True)
def kept_500(scene: Scene) -> Iterator[None]:
    effects = [("error_with_effect", {"probability": 0.5}), ("non_json_body", {"probability": 0.3})]
    _strike(scene, *effects, firings=scene.chance.randint(4, 8), webhooks=scene.chance.random() < 0.5)
    yield


@case("5b", "the key of a refund is forgotten at Stripe before the retry")
def pruned_key(scene: Scene) -> Iterator[None]:
    """Executed or not, nobody can tell: only the list of the payment's refunds can (M13)."""
    effect = scene.chance.choice(["drop_after", "drop_before"])
    scene.note(effect)
    scene.control.add_fault("webhook_drop")
    for calls in (REFUND, CAPTURE, CANCEL):
        scene.control.add_fault(effect, **calls)
    with let_time_pass(scene, A_DAY_AND_AN_HOUR):
        scene.until(lambda: _unanswered(scene) >= 2, "two refunds without an answer")
    yield


def _unanswered(scene: Scene) -> int:
    return scene.truth.count(
        "calls c JOIN refunds r ON r.refund_id = c.subject_id JOIN message_failures f ON f.payment_id = r.payment_id "
        "WHERE c.outcome = 'unknown' AND r.state = 'sending' AND f.failed_at > clock_timestamp() - interval '1 minute'"
    )


@case("6c", "409 and 429 in bursts, where money comes back")
def bursts(scene: Scene) -> Iterator[None]:
    reason = scene.chance.choice(["global-rate", "endpoint-rate", "global-concurrency"])
    effects = [
        ("key_in_use", {"probability": 0.3}),
        ("lock_timeout", {"probability": 0.3}),
        ("rate_limit", {"probability": 0.3, "reason": reason}),
    ]
    _strike(scene, *effects, firings=scene.chance.randint(8, 15))
    yield


@case("7b", "Stripe hangs over a refund")
def hangs(scene: Scene) -> Iterator[None]:
    _strike(scene, ("latency", {"probability": 0.7, "seconds": HANGS_SECONDS}), firings=scene.chance.randint(4, 8))
    yield


@case("8", "the key was used for another body", buries=True)
def another_body(scene: Scene) -> Iterator[None]:
    """Somebody else has used our keys at Stripe: a bug of ours as far as we can tell, so a person must look at once."""
    scene.fleet.stop("workers", grace_seconds=15)
    try:
        scene.until(lambda: len(_unsent(scene)) >= 3, "a charge, a refund and a capture wait to be sent")
        keys = _unsent(scene)
        for key in keys.values():
            _use_up(scene, key)
        scene.note(", ".join(keys))
    finally:
        scene.fleet.start("workers")
    scene.until(lambda: _complaining(scene, keys) == set(keys), "each of them is a dead letter that says so")
    yield
    answered = scene.truth.count("calls WHERE idempotency_key = ANY (%(keys)s) AND sends > 1", keys=[*keys.values()])
    scene.require(not answered, "a call under a key that is not ours was repeated")


def _unsent(scene: Scene) -> dict[str, str]:
    """The first of each kind that was never sent, and the key it will be sent with."""
    found = scene.truth.rows(
        """
        SELECT DISTINCT ON (operation) operation, operation || ':' || subject || ':g1' AS key
        FROM (
            SELECT %(charge)s AS operation, payment_id AS subject FROM payments
            WHERE state = 'requested' AND cancel_requested_at IS NULL
            UNION ALL
            SELECT %(refund)s, refund_id FROM refunds WHERE state = 'requested'
            UNION ALL
            SELECT %(capture)s, payment_id FROM payments
            WHERE state = 'authorized' AND capture_requested_minor IS NOT NULL AND cancel_requested_at IS NULL
        ) waiting
        WHERE NOT EXISTS (SELECT FROM calls c WHERE (c.operation, c.subject_id) = (waiting.operation, subject))
        """,
        charge=payment_intents.CREATE,
        refund=refunds.CREATE,
        capture=payment_intents.CAPTURE,
    )
    return {row["operation"]: row["key"] for row in found}


def _use_up(scene: Scene, key: str) -> None:
    environment = scene.fleet.stack.environment()
    headers = {"Authorization": f"Bearer {environment['STRIPE_SECRET_KEY']}", "Idempotency-Key": key}
    answer = urllib3.request("POST", f"{environment['STRIPE_API_BASE']}/v1/customers", headers=headers, retries=False)
    scene.require(answer.status == 200, f"the key could not be used up: {answer.status}")


def _complaining(scene: Scene, keys: dict[str, str]) -> set[str]:
    rows = scene.truth.rows(
        """
        SELECT DISTINCT c.operation
        FROM calls c
        LEFT JOIN refunds r ON r.refund_id = c.subject_id
        JOIN dead_letters d ON d.payment_id = coalesce(r.payment_id, c.subject_id)
        WHERE c.idempotency_key = ANY (%(keys)s) AND d.state = 'open' AND position(%(why)s IN d.reason) > 0
        """,
        keys=[*keys.values()],
        why=ANOTHER_BODY,
    )
    return {row["operation"] for row in rows}


@case(
    "26", "a storm of refunds on a few charges, through every door, while sessions end and rows are locked", short=True
)
def storm(scene: Scene) -> Iterator[None]:
    """Four times the money is asked for, from sixty sides at once; what is left afterwards is too little for anybody."""
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
    said = [answer.result() for answer in answers]
    scene.note(f"{said.count(202)} of {len(said)} granted by the API")
    yield
    for charge in charges:
        _require_spent(scene, charge)


def _api_requests(charge: dict[str, Any]) -> list[Request]:
    amount = {"minor": charge["amount_minor"] // 9, "currency": charge["currency"]}
    path, storm_id = f"/payments/{charge['payment_id']}/refunds", uuid4().hex
    return [Request(charge["tenant_id"], path, {"amount": amount}, f"storm-{storm_id}-{n}") for n in range(20)]


def _events(charge: dict[str, Any]) -> list[Any]:
    whose = {"order_id": charge["order_id"], "tenant_id": charge["tenant_id"]}
    part = {"minor": charge["amount_minor"] // 8, "currency": charge["currency"]}
    storm_id = uuid4().hex
    return [
        wish(RefundOfOrderRequested.event_type, whose | {"amount": part}, f"storm-{storm_id}-{n}") for n in range(12)
    ]


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

    scene.until(answered, f"an answer to {request.path}", STRIKE_SECONDS)
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
    scene.require(
        found["left"] >= 0 and found["adds_up"], f"{charge['charge_id']}: reserved is not what refunds add up to"
    )
    room = found["left"] >= charge["amount_minor"] // 8
    scene.require(
        not room or found["disputed"] or found["came_back"], f"{charge['charge_id']}: {found['left']} left over"
    )
