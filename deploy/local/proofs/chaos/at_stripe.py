"""Cases 3-7, 9-13, 30: what Stripe's side may do to a call or to a webhook."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import urllib3

from deploy.local.proofs.chaos.cases import Scene, case
from deploy.local.proofs.chaos.striking import HANGS_SECONDS, TOO_LONG_SECONDS, let_time_pass
from deploy.local.scenario.faults import A_DAY_AND_AN_HOUR, CREATE
from stripe_client.rate_limit.shared_budget import SharedBudget
from stripe_client.settings import SANDBOX_PER_SECOND


def _often(probability: float, **details: Any) -> dict[str, Any]:
    return {**CREATE, "probability": probability, **details}


@case("3", "Stripe executes and never responds", short=True)
def no_answer(scene: Scene) -> Iterator[None]:
    firings = scene.chance.randint(6, 15)
    rules = [
        ("drop_after", _often(0.3)),
        ("truncate_body", _often(0.2)),
        ("slow_execution", _often(0.2, seconds=TOO_LONG_SECONDS)),
    ]
    scene.note(f"{firings} calls")
    scene.at_stripe(*rules, firings=firings)
    yield


@case("4", "Stripe executes, responds with 500 and stores that response", short=True)
def kept_500(scene: Scene) -> Iterator[None]:
    firings = scene.chance.randint(6, 15)
    scene.note(f"{firings} calls")
    scene.at_stripe(("error_with_effect", _often(0.4)), ("non_json_body", _often(0.2)), firings=firings)
    yield


@case("5", "the key expires at Stripe before the retry")
def pruned_key(scene: Scene) -> Iterator[None]:
    effect = scene.chance.choice(["drop_after", "drop_before"])
    scene.note(effect)
    scene.control.add_fault("webhook_drop")
    scene.control.add_fault(effect, **CREATE)
    with let_time_pass(scene, A_DAY_AND_AN_HOUR):
        scene.until(lambda: _unanswered(scene) >= 2, "two calls without an answer")
    yield


def _unanswered(scene: Scene) -> int:
    return scene.truth.count(
        "calls c JOIN message_failures f ON f.payment_id = c.subject_id "
        "WHERE c.outcome = 'unknown' AND f.failed_at > clock_timestamp() - interval '1 minute'"
    )


@case("6", "409 and 429 in bursts", short=True)
def bursts(scene: Scene) -> Iterator[None]:
    firings = scene.chance.randint(15, 40)
    reason = scene.chance.choice(["global-rate", "endpoint-rate", "global-concurrency"])
    scene.note(f"{firings} calls, {reason}")
    scene.at_stripe(
        ("key_in_use", _often(0.3)),
        ("lock_timeout", _often(0.3)),
        ("rate_limit", _often(0.4, reason=reason)),
        firings=firings,
    )
    yield


@case("6b", "Stripe grants less than we believe", short=True)
def less_than_believed(scene: Scene) -> Iterator[None]:
    """Its limiter grants less than the sale needs: the learned rate falls until 429s are rare, and comes back."""
    grants = scene.chance.choice([1.5, 2.0])
    with closing(SharedBudget.at(scene.fleet.stack.valkey.url)) as budget:
        scene.control.set_limit(grants)
        try:
            scene.until(lambda: _learned(budget) <= 3 * grants, f"the learned rate falls towards {grants} a second")
            refused, asked = _answers(scene)
            scene.after_orders(scene.chance.randint(30, 50))
            refused, asked = (now - then for now, then in zip(_answers(scene), (refused, asked), strict=True))
            scene.note(f"{grants} a second; {refused} of {asked} requests refused once it was learned")
        finally:
            scene.control.set_limit(None)
        yield
        scene.require(asked > 0 and refused <= asked / 2, f"{refused} of {asked} requests were refused: never learned")
        scene.until(lambda: _learned(budget) >= SANDBOX_PER_SECOND, "the learned rate is whole again")


def _learned(budget: SharedBudget) -> float:
    return min((state.learned_per_second for state in budget.look()), default=SANDBOX_PER_SECOND)


def _answers(scene: Scene) -> tuple[int, int]:
    """429s, and all requests."""
    by_status: dict[str, int] = scene.control.summary()["requests"]
    return by_status.get("429", 0), sum(by_status.values())


@case("7", "Stripe hangs")
def hangs(scene: Scene) -> Iterator[None]:
    taken = scene.truth.count("orders")
    scene.at_stripe(("latency", _often(0.7, seconds=HANGS_SECONDS)), firings=scene.chance.randint(8, 20))
    scene.require(scene.truth.count("orders") > taken, "no order was taken while Stripe hung")
    yield


@case("9", "every webhook five times", short=True)
def duplicates(scene: Scene) -> Iterator[None]:
    for events, firings in (("*", 25), ("refund.*", 5)):
        twin = ("webhook_twin", {"probability": 0.2, "event_type": events})
        scene.at_stripe(("webhook_duplicate", {"copies": 5, "event_type": events}), twin, firings=firings)
    yield


@case("10", "webhooks reordered")
def shuffled(scene: Scene) -> Iterator[None]:
    seconds = scene.chance.randint(2, 6)
    scene.note(f"over {seconds} s")
    for events, firings in (("*", 40), ("refund.*", 5)):
        scene.at_stripe(("webhook_shuffle", {"seconds": seconds, "event_type": events}), firings=firings)
    yield


@case("11", "the webhook arrives before our commit")
def webhook_first(scene: Scene) -> Iterator[None]:
    """The intent exists and its events are sent at once; the answer to the call comes two seconds later."""
    refunds = ("slow_body", {"method": "POST", "path": "/v1/refunds", "seconds": 2})
    scene.at_stripe(("slow_body", _often(0.8, seconds=2)), refunds, firings=scene.chance.randint(10, 20))
    scene.at_stripe(refunds, firings=3)
    yield


@case("12", "webhooks never arrive")
def dropped(scene: Scene) -> Iterator[None]:
    """Also of what nobody but Stripe knows: a refund in the dashboard, a dispute. Only its list of events has them."""
    scene.until(lambda: len(scene.truth.whole_charges()) >= 2, "two charges of which nothing was given back")
    refunded, disputed = scene.truth.whole_charges()[:2]
    rule = scene.control.add_fault("webhook_drop")
    try:
        scene.load.stripe_side.refund_in_dashboard(refunded["charge_id"], refunded["amount_minor"] // 3)
        scene.load.stripe_side.dispute(disputed["charge_id"])
        firings = scene.chance.randint(30, 60)
        scene.until(lambda: len(scene.control.firings(rule)) >= firings, f"{firings} webhooks are dropped")
    finally:
        scene.control.clear_faults()
    yield
    outside = "refunds WHERE source = 'outside' AND payment_id = %(id)s::uuid"
    scene.require(scene.truth.count(outside, id=refunded["payment_id"]), "the dashboard's refund is not in the book")
    known = scene.truth.count("disputes WHERE payment_id = %(id)s::uuid", id=disputed["payment_id"])
    scene.require(known, "the dispute is not in the book")


@case("13", "webhooks with a wrong, outdated or foreign signature")
def bad_signatures(scene: Scene) -> Iterator[None]:
    forged = f"evt_forged_{scene.chance.randrange(10**9)}"
    body = f'{{"id": "{forged}", "object": "event", "type": "payment_intent.succeeded"}}'.encode()
    for signature in ("", "t=1,v1=00", f"t=4102444800,v1={'0' * 64}"):
        answer = urllib3.request(
            "POST",
            f"{scene.fleet.intake}/webhooks/stripe",
            body=body,
            headers={"Stripe-Signature": signature},
            retries=False,
        )
        scene.require(answer.status == 400, f"a forged webhook was answered with {answer.status}")
    scene.at_stripe(
        ("webhook_wrong_signature", {"attempts": 2, "probability": 0.5}),
        ("webhook_old_timestamp", {"attempts": 1, "age_seconds": 600, "probability": 0.5}),
        firings=30,
    )
    yield
    known = scene.truth.count("webhook_inbox WHERE event_id = %(forged)s", forged=forged)
    scene.require(not known, "a forged event is in the inbox")


@case("30", "a fraction of all requests fails at random")
def failing(scene: Scene) -> Iterator[None]:
    share = scene.chance.choice([0.1, 0.5])
    scene.note(f"{share:.0%}")
    fails = {"method": "*", "path": "/v1/*", "probability": share}
    firings = 12 if share < 0.5 else 40
    scene.at_stripe(
        ("error", {**fails, "status": scene.chance.choice([500, 502, 503]), "stored": False}),
        ("drop_before", {**fails, "probability": share / 5}),
        firings=firings,
    )
    yield
