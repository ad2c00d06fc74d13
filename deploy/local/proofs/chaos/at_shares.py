"""Cases 3-7 where shares are sent and taken back, and 33, 34: balances too small, and two legs of which one fails."""

import time
from collections.abc import Iterator
from typing import Any

from deploy.local.proofs.chaos.cases import Scene, case
from deploy.local.proofs.chaos.striking import HANGS_SECONDS, TOO_LONG_SECONDS, let_time_pass, strike
from deploy.local.scenario.faults import A_DAY_AND_AN_HOUR, REVERSAL, TRANSFER

MORE_THAN_THERE_IS = 10**9  # minor units
_OWED = "share_receivables o JOIN shares s USING (tenant_id, share_id) WHERE s.payment_id = ANY (%(ids)s::uuid[])"
SECONDS_TO_COME_BACK = 2.0
# Of two shares: each is asked for whole, for what there is, and once more should that be gone too.
MOST_REVERSALS = 6


def take_back_paid(scene: Scene, count: int = 1) -> list[dict[str, Any]]:
    """Have the back office give sales back whose shares have reached their accounts; returns these sales."""
    sales = paid_sales(scene)[:count]
    for sold in sales:
        scene.insist("refunds", sold)
    return sales


def paid_sales(scene: Scene) -> list[dict[str, Any]]:
    """The latest sales of which nothing was given back, and whose artist was paid."""
    return scene.truth.rows(
        """
        SELECT c.tenant_id::text, c.payment_id::text, c.charge_id, c.currency, t.account_id
        FROM charges c
        JOIN transfers t USING (tenant_id, payment_id)
        JOIN recipients r ON (r.tenant_id, r.recipient_id) = (t.tenant_id, t.recipient_id) AND r.kind = 'artist'
        WHERE c.refunded_minor = 0 AND t.state = 'paid' AND t.amount_minor > 0 AND t.reversed_minor = 0
          AND NOT EXISTS (SELECT FROM disputes d WHERE d.payment_id = c.payment_id)
          AND NOT EXISTS (SELECT FROM refunds f WHERE f.payment_id = c.payment_id)
        ORDER BY c.recorded_at DESC LIMIT 20
        """
    )


def _strike(scene: Scene, *effects: tuple[str, dict[str, Any]], firings: int) -> None:
    """These faults on transfers and on reversals alike, until both were struck."""
    goals = [(TRANSFER, firings), (REVERSAL, 2)]
    scene.note(f"{firings} transfers, 2 reversals")
    scene.until(lambda: len(paid_sales(scene)) >= 2, "shares have reached their accounts")

    def take_back(fired: list[int]) -> None:
        if fired[1] < goals[1][1]:
            take_back_paid(scene)

    strike(scene, goals, effects, "where shares move", take_back)


@case("3c", "Stripe executes transfers and reversals and never responds", short=True)
def no_answer(scene: Scene) -> Iterator[None]:
    _strike(
        scene,
        ("drop_after", {"probability": 0.4}),
        ("truncate_body", {"probability": 0.3}),
        ("slow_execution", {"probability": 0.2, "seconds": TOO_LONG_SECONDS}),
        firings=scene.chance.randint(4, 8),
    )
    yield
    _require_once(scene)


@case("4c", "the same, answered with a 500 that is stored", short=True)
def kept_500(scene: Scene) -> Iterator[None]:
    effects = [("error_with_effect", {"probability": 0.5}), ("non_json_body", {"probability": 0.3})]
    _strike(scene, *effects, firings=scene.chance.randint(4, 8))
    yield
    _require_once(scene)


@case("5c", "the key of a transfer expires at Stripe before the retry")
def pruned_key(scene: Scene) -> Iterator[None]:
    effect = scene.chance.choice(["drop_after", "drop_before"])
    scene.note(effect)
    for calls in (TRANSFER, REVERSAL):
        scene.control.add_fault(effect, **calls)
    with let_time_pass(scene, A_DAY_AND_AN_HOUR):
        scene.until(lambda: _unanswered(scene) >= 2, "two transfers without an answer")
    yield
    _require_once(scene)


def _unanswered(scene: Scene) -> int:
    return scene.truth.count(
        "calls c JOIN transfers t ON t.transfer_id = c.subject_id WHERE c.outcome = 'unknown' AND t.state = 'sending' "
        "AND c.first_sent_at < clock_timestamp() - interval '5 s'"
    )


@case("6d", "409 and 429 in bursts, on transfers")
def bursts(scene: Scene) -> Iterator[None]:
    _strike(
        scene,
        ("key_in_use", {"probability": 0.3}),
        ("lock_timeout", {"probability": 0.3}),
        ("rate_limit", {"probability": 0.3, "reason": scene.chance.choice(["global-rate", "endpoint-rate"])}),
        firings=scene.chance.randint(6, 12),
    )
    yield
    _require_once(scene)


@case("7c", "Stripe hangs on a transfer")
def hangs(scene: Scene) -> Iterator[None]:
    _strike(scene, ("latency", {"probability": 0.7, "seconds": HANGS_SECONDS}), firings=scene.chance.randint(3, 6))
    yield
    _require_once(scene)


def _require_once(scene: Scene) -> None:
    """By the bank's own recorder: no transfer of ours and no reversal was made twice."""
    for kind, name in (("transfer", "transfer_id"), ("transfer_reversal", "reversal_id")):
        made = [one["metadata"][name] for one in scene.control.effects() if one["kind"] == kind and one["metadata"]]
        scene.require(len(made) == len(set(made)), f"a {kind} was made twice")


# --------------------------------------------------------------------------------------------------------- 33 and 34


@case("33", "a reversal above the account's balance", short=True)
def empty_account(scene: Scene) -> Iterator[None]:
    """The rest becomes a receivable, which the next shares of the same recipient pay; nothing is asked for ever."""
    scene.until(lambda: len(paid_sales(scene)) >= 4, "shares have reached their accounts")
    emptied: list[dict[str, Any]] = []

    def is_owed() -> bool:
        """Others pay into that account meanwhile, so it is emptied for one sale after another, the oldest first."""
        if sales := paid_sales(scene):
            scene.control.pay_out(sales[-1]["account_id"])
            scene.insist("refunds", sales[-1])
            emptied.append(sales[-1])
            time.sleep(SECONDS_TO_COME_BACK)
        return scene.truth.count(_OWED, ids=[sold["payment_id"] for sold in emptied]) > 0

    scene.until(is_owed, "what is missing is owed")
    scene.note(f"{len(emptied)} sales given back")
    yield
    _require_settled(scene, emptied)
    for sold in emptied:
        asked = scene.truth.count(
            "transfer_reversals v JOIN shares s USING (tenant_id, share_id) WHERE s.payment_id = %(id)s::uuid",
            id=sold["payment_id"],
        )
        scene.require(asked <= MOST_REVERSALS, f"{asked} reversals were asked for where the account was empty")


@case("33b", "a transfer above the platform's balance")
def empty_balance(scene: Scene) -> Iterator[None]:
    """A dispute that was lost is won after all: its shares are paid again out of a balance that is not there."""
    scene.until(lambda: bool(paid_sales(scene)), "shares have reached their accounts")
    sold = paid_sales(scene)[0]
    made = scene.load.stripe_side.dispute(sold["charge_id"])
    scene.require(made is not None, "the charge could not be disputed")
    assert made is not None, "required a line ago"
    scene.control.decide_dispute(made["id"], "lost")
    lost = "share_returns b JOIN shares s USING (tenant_id, share_id) WHERE s.payment_id = %(id)s::uuid"
    scene.until(lambda: scene.truth.count(lost, id=sold["payment_id"]) > 0, "the loss took its part of the shares")
    back = (
        "transfer_reversals v JOIN shares s USING (tenant_id, share_id) "
        "WHERE s.payment_id = %(id)s::uuid AND v.state = 'reversed'"
    )
    scene.until(lambda: scene.truth.count(back, id=sold["payment_id"]) > 0, "the shares came back")
    scene.control.adjust_balance(-MORE_THAN_THERE_IS, sold["currency"])
    try:
        scene.control.decide_dispute(made["id"], "won")
        refused = "transfers WHERE payment_id = %(id)s::uuid AND state = 'refused'"
        scene.until(lambda: scene.truth.count(refused, id=sold["payment_id"]) > 0, "a transfer is refused")
    finally:
        scene.control.adjust_balance(2 * MORE_THAN_THERE_IS, sold["currency"])

    def settled() -> bool:
        """The hour until the next look is over, as often as somebody waits for it."""
        scene.truth.change(
            "UPDATE outbox SET due_at = clock_timestamp() WHERE kind = 'share' AND due_at > clock_timestamp()"
        )
        return _unsettled(scene, [sold]) == 0

    scene.until(settled, "the shares are paid again")
    yield
    _require_settled(scene, [sold])


@case("34", "a refund succeeds and its clawback fails, and the reverse", short=True)
def one_leg_fails(scene: Scene) -> Iterator[None]:
    scene.until(lambda: len(paid_sales(scene)) >= 2, "shares have reached their accounts")
    first, second = paid_sales(scene)[:2]
    scene.control.add_fault(scene.chance.choice(["drop_before", "error_with_effect"]), **REVERSAL, max_firings=4)
    try:
        scene.insist("refunds", first)
        arrived = "refunds WHERE payment_id = %(id)s::uuid AND state = 'succeeded'"
        scene.until(lambda: scene.truth.count(arrived, id=first["payment_id"]) > 0, "the refund has arrived")
    finally:
        scene.control.clear_faults()
    scene.insist("refunds", second)
    scene.until(lambda: scene.truth.count(arrived, id=second["payment_id"]) > 0, "the other refund has arrived")
    rows = scene.truth.rows(
        "SELECT stripe_refund_id FROM refunds WHERE payment_id = %(id)s::uuid", id=second["payment_id"]
    )
    for row in rows:  # the buyer's bank sends it back; what was taken of the shares is owed to the buyer
        scene.control.finish_refund(row["stripe_refund_id"], "fail")
    yield
    _require_settled(scene, [first, second])
    failed = "refunds WHERE payment_id = %(id)s::uuid AND state = 'failed'"
    scene.require(scene.truth.count(failed, id=second["payment_id"]), "the refund that came back is not in the book")


def _require_settled(scene: Scene, sales: list[dict[str, Any]]) -> None:
    left = _unsettled(scene, sales)
    scene.require(not left, f"{left} shares have not ended")


def _unsettled(scene: Scene, sales: list[dict[str, Any]]) -> int:
    ids = [sold["payment_id"] for sold in sales]
    return scene.truth.count("shares WHERE payment_id = ANY (%(ids)s::uuid[]) AND state <> 'settled'", ids=ids)
