"""Cases 3-8 where money comes back: refunds, captures and cancellations meet what Stripe may do to a call."""

from collections.abc import Iterator
from typing import Any

import urllib3

from deploy.local.proofs.chaos.cases import Scene, case
from deploy.local.proofs.chaos.striking import HANGS_SECONDS, TOO_LONG_SECONDS, let_time_pass, strike
from deploy.local.scenario.faults import A_DAY_AND_AN_HOUR, CANCEL, CAPTURE, REFUND
from stripe_client import payment_intents, refunds

ANOTHER_BODY = "the same key was used with another body"  # as stripe_client/errors.py says it


def _strike(scene: Scene, *effects: tuple[str, dict[str, Any]], firings: int, webhooks: bool = True) -> None:
    """These faults on refunds, captures and cancellations alike, until each of the three was struck."""
    scene.note(f"{firings} refunds, 2 captures, a cancellation")
    if not webhooks:
        scene.control.add_fault("webhook_drop")
    strike(scene, [(REFUND, firings), (CAPTURE, 2), (CANCEL, 1)], effects, "where money comes back")


@case("3b", "Stripe gives back, captures, cancels, and never answers", short=True)
def no_answer(scene: Scene) -> Iterator[None]:
    _strike(
        scene,
        ("drop_after", {"probability": 0.4}),
        ("truncate_body", {"probability": 0.3}),
        ("slow_execution", {"probability": 0.2, "seconds": TOO_LONG_SECONDS}),
        firings=scene.chance.randint(4, 8),
    )
    yield


@case("4b", "the same, answered with a 500 that is stored", short=True)
def kept_500(scene: Scene) -> Iterator[None]:
    effects = [("error_with_effect", {"probability": 0.5}), ("non_json_body", {"probability": 0.3})]
    _strike(scene, *effects, firings=scene.chance.randint(4, 8), webhooks=scene.chance.random() < 0.5)
    yield


@case("5b", "the key of a refund expires at Stripe before the retry")
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


@case("6c", "409 and 429 in bursts, on refunds")
def bursts(scene: Scene) -> Iterator[None]:
    reason = scene.chance.choice(["global-rate", "endpoint-rate", "global-concurrency"])
    _strike(
        scene,
        ("key_in_use", {"probability": 0.3}),
        ("lock_timeout", {"probability": 0.3}),
        ("rate_limit", {"probability": 0.3, "reason": reason}),
        firings=scene.chance.randint(8, 15),
    )
    yield


@case("7b", "Stripe hangs on a refund")
def hangs(scene: Scene) -> Iterator[None]:
    _strike(scene, ("latency", {"probability": 0.7, "seconds": HANGS_SECONDS}), firings=scene.chance.randint(4, 8))
    yield


@case("8", "the key was used for another body", buries=True)
def another_body(scene: Scene) -> Iterator[None]:
    """Somebody else has used our keys at Stripe: a bug of ours as far as we can tell, so a person must look at once."""
    scene.until(lambda: bool(scene.truth.held_payments()), "an amount is held, and nobody has asked for it")
    scene.fleet.stop("workers", grace_seconds=15)
    try:
        _ask_for_more(scene)
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


def _ask_for_more(scene: Scene) -> None:
    """While the workers stand nothing succeeds, and so nobody asks by himself."""
    for charge in scene.truth.whole_charges()[:1]:
        scene.insist("refunds", charge)
    for payment in scene.truth.held_payments()[:1]:
        scene.insist("capture", payment)


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
