"""Case 31: a bulk replay by two operators at once, its workers killed in the middle, and then all of it again."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from db.dead_letters import replay_batches
from db.dead_letters.views import DeadLetterFilter
from deploy.local.proofs.chaos.at_processes import POINTS
from deploy.local.proofs.chaos.cases import Scene, case
from deploy.local.scenario.faults import CREATE
from messages.runtime.settings import AppEnv
from outbox.ops.session import Operator, OpsSettings
from outbox.requests.operators import replays
from outbox.requests.refusals import RefusedError

OPERATORS = ("ada", "grace")
REFUSED = "Stripe refused the request as wrong"  # as stripe_client/errors.py says it; others belong to other cases
DEAD_LETTERS = DeadLetterFilter(source="worker", kind="charge", text=REFUSED)
NO_APPROVAL_MINOR = 10**12  # approval is tested elsewhere


@case("31", "two operators replay the same dead letters, and their workers are killed", short=True, buries=True)
def bulk_replay(scene: Scene) -> Iterator[None]:
    wanted = scene.chance.randint(8, 16)
    make_dead_letters(scene, CREATE, "charge", wanted)
    batches = [batch for operator in OPERATORS if (batch := preview(scene, operator, DEAD_LETTERS))]
    scene.note(f"{wanted} dead letters, {len(batches)} batches")
    points = [point for point in POINTS if point.startswith("replay.")]
    for point in points:
        scene.fleet.arm(point)
    for operator, batch in zip(OPERATORS, batches, strict=True):
        wait_for(scene, batch, "previewed")
        with operator_of(scene, operator).transaction() as acting:
            replays.start(acting, batch)
    scene.until(lambda: not scene.fleet.armed(), f"workers died at {', '.join(points)}", 120)
    scene.fleet.kill("workers")
    for batch in batches:
        wait_for(scene, batch, "done")
    yield
    scene.require(not open_dead_letters(scene, "charge"), "dead letters of charges are still open")
    scene.require(not preview(scene, OPERATORS[0], DEAD_LETTERS), "a third replay found something to do")
    twice = scene.truth.count(
        "(SELECT dead_letter_id FROM replay_items WHERE state IN ('appended', 'succeeded', 'failed') "
        "GROUP BY dead_letter_id HAVING count(*) > 1) AS twice"
    )
    scene.require(not twice, f"{twice} dead letters were replayed more than once")


def make_dead_letters(scene: Scene, calls: dict[str, Any], kind: str, wanted: int) -> None:
    """A 400 that nobody understands is given up at once: a person must look."""
    before = open_dead_letters(scene, kind)
    scene.control.add_fault("error", **calls, status=400, stored=False, max_firings=wanted)
    try:
        scene.until(lambda: open_dead_letters(scene, kind) >= before + wanted, f"{wanted} {kind}s are dead letters")
    finally:
        scene.control.clear_faults()


def preview(scene: Scene, operator: str, chosen: DeadLetterFilter) -> UUID | None:
    try:
        with operator_of(scene, operator).transaction() as acting:
            batch, _ = replays.preview(acting, chosen, reason="Stripe is well again", rate_per_second=3)
    except RefusedError:
        return None
    return batch


def operator_of(scene: Scene, name: str) -> Operator:
    settings = OpsSettings(app_env=AppEnv.LOCAL, replay_approval_minor=NO_APPROVAL_MINOR)
    return Operator(scene.truth.db, settings, name)


def open_dead_letters(scene: Scene, kind: str) -> int:
    waiting = "dead_letters WHERE state = 'open' AND kind = %(kind)s AND position(%(why)s IN reason) > 0"
    return scene.truth.count(waiting, kind=kind, why=REFUSED)


def wait_for(scene: Scene, batch: UUID, state: str) -> None:
    scene.until(lambda: _state(scene, batch) == state, f"the batch is {state}", 120)


def _state(scene: Scene, batch: UUID) -> str | None:
    with scene.truth.db.system_transaction() as tx:
        replay_batch = replay_batches.get(tx, batch)
    return replay_batch.state if replay_batch else None
