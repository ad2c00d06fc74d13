"""Faults at Stripe until they have struck, and time that passes at Stripe and in the book."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from deploy.local.proofs.chaos.cases import Scene
from deploy.local.scenario import faults
from deploy.local.scenario.faults import Calls
from deploy.local.scenario.fleet import STRIPE_READ_TIMEOUT_SECONDS

TOO_LONG_SECONDS = STRIPE_READ_TIMEOUT_SECONDS + 1.5
HANGS_SECONDS = 30
STRIKE_SECONDS = 120.0


def strike(
    scene: Scene,
    goals: list[tuple[Calls, int]],
    effects: tuple[tuple[str, dict[str, Any]], ...],
    where: str,
    meanwhile: Callable[[list[int]], None] = lambda _: None,
) -> None:
    """These faults on each kind of call, until each was struck as often as its goal says; `meanwhile` is given how
    often each was so far.
    """
    with ExitStack() as leaving:
        ids = [
            leaving.enter_context(faults.injected(scene.control, *((effect, calls | more) for effect, more in effects)))
            for calls, _ in goals
        ]

        def all_struck() -> bool:
            rules = scene.control.faults()
            fired = [sum(rule["fired"] for rule in rules if rule["id"] in of_kind) for of_kind in ids]
            meanwhile(fired)
            return all(times >= goal for times, (_, goal) in zip(fired, goals, strict=True))

        scene.until(all_struck, f"{', '.join(effect for effect, _ in effects)} {where}", STRIKE_SECONDS)


@contextmanager
def let_time_pass(scene: Scene, seconds: int) -> Iterator[None]:
    """Once the block is done: the workers stand, the faults end, and so much time passes on Stripe's clock and for
    every call without an answer. The clock goes right again after the case.
    """
    try:
        yield
        scene.fleet.stop("workers", grace_seconds=15)
        # What happens on the way happens in the future of the event sweep: only its webhooks can bring it.
        scene.control.clear_faults()
        scene.control.advance_clock(seconds)
        old = scene.truth.change(faults.AGE_UNANSWERED, age=seconds)
        scene.truth.change(
            "UPDATE outbox SET due_at = clock_timestamp() "
            "WHERE kind IN ('charge', 'refund', 'capture', 'cancel', 'transfer', 'transfer_reversal')"
        )
        scene.note(f"{old} calls")
    finally:
        scene.control.clear_faults()
        scene.fleet.start("workers")
