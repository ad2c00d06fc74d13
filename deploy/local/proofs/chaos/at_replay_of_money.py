"""Case 32: dead letters of payments that have gone on meanwhile (charged, refunded, disputed, expired) are replayed."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from db.dead_letters.views import DeadLetterFilter
from deploy.local.proofs.chaos.at_replay import REFUSED, make_dead_letters, operator_of, preview, wait_for
from deploy.local.proofs.chaos.cases import Scene, case
from deploy.local.proofs.chaos.striking import let_time_pass
from deploy.local.scenario.faults import CAPTURE, CREATE, REFUND
from messages.base import Message
from messages.ids import PaymentId, RefundId, TenantId
from messages.payments import ChargeRequested
from messages.refunds import RefundRequested
from outbox.append import append
from outbox.requests.operators import dead_letters, replays

OPERATOR = "ada"
LONGER_THAN_A_HOLD = 7 * 86_400 + 3_600
MADE = 4  # dead letters of charges and of refunds: a card may be declined when its charge goes on
DONE, BLOCKED = "already_done", "must_not"


@case("32", "dead letters of charged, refunded, disputed and expired payments are replayed", buries=True)
def gone_on(scene: Scene) -> Iterator[None]:
    """Replaying what is done is a recorded no-op, what could do harm is refused, and no money moves."""
    charged = _dead_letters(scene, CREATE, "charge", MADE)
    given_back = _dead_letters(scene, REFUND, "refund", MADE)
    disputed = [given_back.pop(), given_back.pop()]
    held = _dead_letters(scene, CAPTURE, "capture", 2)
    with let_time_pass(scene, LONGER_THAN_A_HOLD):
        _go_on(scene, charged, given_back)
        _be_disputed(scene, disputed)
    scene.until(lambda: _states(scene, held) == {"canceled"}, "the authorisations have expired")
    expected = {letter["id"]: DONE for letter in (*charged, *given_back)}
    expected |= {letter["id"]: BLOCKED for letter in (*disputed, *held)}
    scene.note(f"{len(charged)} charged, {len(given_back)} refunded, {len(disputed)} disputed, {len(held)} expired")
    yield
    payments = {letter["payment_id"] for letter in (*charged, *given_back, *disputed, *held)}
    before = _effects(scene, payments)
    checked = _replay(scene, list(expected))
    wrong = {letter: checked[letter] for letter, word in expected.items() if checked[letter][0] != word}
    scene.require(not wrong, f"checked otherwise than expected: {wrong}")
    scene.require(_effects(scene, payments) == before, "money has moved by a replay")
    # The operator reads why, and discards these dead letters; the sweep then finds how their payments stand.
    blocked = tuple(UUID(letter) for letter, word in expected.items() if word == BLOCKED)
    with operator_of(scene, OPERATOR).transaction() as acting:
        dead_letters.discard(acting, DeadLetterFilter(ids=blocked), reason="the money went another way")


def _dead_letters(scene: Scene, calls: dict[str, Any], kind: str, wanted: int) -> list[dict[str, Any]]:
    """New dead letters of that kind, each of another payment, with their message's payload."""
    seen = {row["id"] for row in _open(scene, kind)}
    make_dead_letters(scene, calls, kind, wanted)
    by_payment = {row["payment_id"]: row for row in _open(scene, kind) if row["id"] not in seen}
    return list(by_payment.values())


def _open(scene: Scene, kind: str) -> list[dict[str, Any]]:
    return scene.truth.rows(
        """
        SELECT d.dead_letter_id::text AS id, d.tenant_id, d.payment_id, r.refund_id, c.charge_id
        FROM dead_letters d
        LEFT JOIN charges c USING (tenant_id, payment_id)
        LEFT JOIN refunds r ON (r.tenant_id, r.payment_id) = (d.tenant_id, d.payment_id)
            AND strpos(d.payload, r.refund_id::text) > 0
        WHERE d.state = 'open' AND d.kind = %(kind)s AND position(%(why)s IN d.reason) > 0
        ORDER BY d.died_at
        """,
        kind=kind,
        why=REFUSED,
    )


def _go_on(scene: Scene, charged: list[dict[str, Any]], given_back: list[dict[str, Any]]) -> None:
    """The same messages again, and now Stripe takes them; the dead letters stay."""
    for letter in charged:
        _append(scene, letter, ChargeRequested(**_names(letter)))
    for letter in given_back:
        _append(scene, letter, RefundRequested(**_names(letter), refund_id=RefundId(letter["refund_id"])))
    scene.until(lambda: not _states(scene, charged) & {"requested", "charging"}, "the charges went through")
    scene.until(lambda: not _refund_states(scene, given_back) & {"requested", "sending"}, "the refunds went through")
    scene.require("succeeded" in _states(scene, charged), "no charge succeeded")


def _be_disputed(scene: Scene, letters: list[dict[str, Any]]) -> None:
    for letter in letters:
        scene.load.stripe_side.dispute(letter["charge_id"])
    ids = [letter["payment_id"] for letter in letters]
    known = "disputes WHERE payment_id = ANY (%(ids)s) AND track = 'chargeback'"
    scene.until(lambda: scene.truth.count(known, ids=ids) >= len(ids), "the disputes are in the book")


def _append(scene: Scene, letter: dict[str, Any], message: Message) -> None:
    with scene.truth.db.transaction(TenantId(letter["tenant_id"])) as tx:
        append(tx, message)


def _names(letter: dict[str, Any]) -> dict[str, Any]:
    return {"tenant_id": TenantId(letter["tenant_id"]), "payment_id": PaymentId(letter["payment_id"])}


def _states(scene: Scene, letters: list[dict[str, Any]]) -> set[str]:
    ids = [letter["payment_id"] for letter in letters]
    return {
        row["state"] for row in scene.truth.rows("SELECT state FROM payments WHERE payment_id = ANY (%(ids)s)", ids=ids)
    }


def _refund_states(scene: Scene, letters: list[dict[str, Any]]) -> set[str]:
    ids = [letter["refund_id"] for letter in letters]
    return {
        row["state"] for row in scene.truth.rows("SELECT state FROM refunds WHERE refund_id = ANY (%(ids)s)", ids=ids)
    }


def _effects(scene: Scene, payments: set[UUID]) -> Counter[tuple[str, str]]:
    """What the bank has moved for these payments; refunds made in the dashboard and disputes are none of ours."""
    ours = {str(payment) for payment in payments}
    return Counter(
        (effect["kind"], effect["metadata"]["payment_id"])
        for effect in scene.control.effects()
        if (effect["metadata"] or {}).get("payment_id") in ours
    )


def _replay(scene: Scene, letters: list[str]) -> dict[str, tuple[str, str]]:
    """Preview and start a batch of these dead letters; returns class and proof of each."""
    batch = preview(scene, OPERATOR, DeadLetterFilter(ids=tuple(map(UUID, letters))))
    assert batch is not None, "these dead letters are open"
    wait_for(scene, batch, "previewed")
    with operator_of(scene, OPERATOR).transaction() as acting:
        replays.start(acting, batch)
    wait_for(scene, batch, "done")
    rows = scene.truth.rows(
        "SELECT dead_letter_id::text AS id, class, proof, state FROM replay_items WHERE batch_id = %(batch)s",
        batch=batch,
    )
    return {row["id"]: (row["class"], f"{row['state']}: {row['proof']}") for row in rows}
