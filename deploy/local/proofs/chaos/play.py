"""One case after another on the running fleet: load, fault, healing, first success, quiet, checker."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console

from deploy.local.proofs.chaos.cases import Case, Scene, UnmetError
from deploy.local.proofs.chaos.load import Load
from deploy.local.proofs.chaos.plan import Plan
from deploy.local.proofs.chaos.report import Outcome, Result
from deploy.local.proofs.chaos.truth import AWAY, Truth
from deploy.local.scenario.fleet import Fleet
from deploy.local.scenario.recorder import Sums
from messages.reconciliation import EventSweepDue

SUCCESS_SECONDS = 60.0
DRAIN_SECONDS = 150.0
LAST_DRAIN_SECONDS = 330.0  # no backoff is longer
LAST_RATE = 20.0
WARM_UP_EVENTS = 3
POLL_SECONDS = 0.1
SWEEP_EVERY_SECONDS = 4.0


@dataclass(slots=True)
class Play:
    """`run` fills the outcome."""

    plan: Plan
    console: Console
    fleet: Fleet
    truth: Truth
    load: Load
    outcome: Outcome
    before: Sums = field(default_factory=Sums)
    buried: int = 0
    swept: float = 0.0

    def run(self) -> None:
        started = time.monotonic()
        for case, chance in self.plan.rounds():
            if not self.plan.only and time.monotonic() - started > self.plan.minutes * 60:
                break
            scene = Scene(self.fleet, self.fleet.control(), self.truth, self.load, chance)
            result = self._play(case, scene)
            self.outcome.results.append(result)
            self._tell(result)
        self._last_sale()
        self.outcome.seconds = time.monotonic() - started

    def _play(self, case: Case, scene: Scene) -> Result:
        result = Result(case.key, case.title, scene.notes)
        published = self.load.published
        self.load.begin()
        steps = case.steps(scene)
        injected = time.monotonic()
        with _collecting(result):
            scene.after_orders(WARM_UP_EVENTS)
            next(steps)
        result.fault_seconds = time.monotonic() - injected
        self._heal(scene)
        self._recover(result)
        with _collecting(result):
            next(steps, None)
        scene.control.set_clock()
        result.published = self.load.published - published
        result.unmet += self._unasked(case)
        return result

    def _heal(self, scene: Scene) -> None:
        """Whatever the case has left behind, also when it failed half way."""
        scene.control.clear_faults()
        self.fleet.heal()

    def _recover(self, result: Result) -> None:
        """First success, then quiet; the checker looks when everything has come to rest."""
        healed, healed_at = time.monotonic(), datetime.now(UTC)
        result.first_success_seconds = self._first_success(healed_at)
        if result.first_success_seconds is None:
            result.unmet.append(f"no payment succeeded within {SUCCESS_SECONDS:.0f} s of healing")
        self.load.pause()
        quiet_at, sums, moving = self._drain(DRAIN_SECONDS)
        if quiet_at is None:
            result.unmet.append(f"not at rest {DRAIN_SECONDS:.0f} s after healing: {moving}")
        else:
            result.drain_seconds = quiet_at - healed
        result.sums, self.before = sums.beyond(self.before), sums

    def _first_success(self, healed_at: datetime) -> float | None:
        deadline = time.monotonic() + SUCCESS_SECONDS
        while time.monotonic() < deadline:
            if (found := self.truth.success_since(healed_at)) is not None:
                return (found - healed_at).total_seconds()
            time.sleep(POLL_SECONDS)
        return None

    def _drain(self, seconds: float, *, to_the_last: bool = False) -> tuple[float | None, Sums, str]:
        """When everything came to rest, what the checker then says, and what still moved when it never did.

        Nothing that is lost or doubled comes back by waiting; but an order in hand, which no queue shows, reads as lost
        until it is written down, and so the checker is asked again until the time is over.
        """
        deadline = time.monotonic() + seconds
        sums, moving = Sums(), "nothing could be looked at"
        while time.monotonic() < deadline:
            with contextlib.suppress(*AWAY):
                self._sweep_events()
                if to_the_last:
                    self._let_the_hour_pass()
                asked_at = time.monotonic()
                if moving := self.truth.moving():
                    time.sleep(POLL_SECONDS)
                    continue
                sums, report = self.truth.look()
                moving = self.truth.unsettled(report, to_the_last=to_the_last)
                if not moving and sums.beyond(self.before).clean:
                    return asked_at, sums, ""
            time.sleep(POLL_SECONDS)
        return (None, *self._last_look(sums, moving))

    def _sweep_events(self) -> None:
        """As the scheduler asks every three minutes: what no webhook brought must be found in Stripe's own list."""
        if time.monotonic() - self.swept > SWEEP_EVERY_SECONDS:
            self.swept = time.monotonic()
            self.truth.queue(EventSweepDue(due_at=datetime.now(UTC)))

    def _let_the_hour_pass(self) -> None:
        """A share whose transfer found too little balance (payouts empty it at any moment here) is due in an hour."""
        self.truth.change(
            "UPDATE outbox SET due_at = clock_timestamp() "
            "WHERE kind = 'share' AND due_at > clock_timestamp() + interval '10 minutes'"
        )

    def _last_look(self, sums: Sums, moving: str) -> tuple[Sums, str]:
        with contextlib.suppress(*AWAY):
            return self.truth.look()[0], moving or "the checker is not satisfied"
        return sums, moving

    def _unasked(self, case: Case) -> list[str]:
        """What no fault asks for: new dead letters, unless the case says so, and a process that cannot stay up."""
        buried = self.truth.count("dead_letters WHERE source <> 'orders'")
        more, self.buried = buried - self.buried, buried
        unasked = [f"{more} messages became dead letters, which this fault does not ask for"]
        given_up, self.fleet.given_up = self.fleet.given_up, []
        return (unasked if more and not case.buries else []) + given_up

    def _tell(self, result: Result) -> None:
        what = "clean" if result.clean else "NOT CLEAN: " + "; ".join([*result.unmet, *result.sums.findings])
        notes = f" ({', '.join(result.notes)})" if result.notes else ""
        self.console.print(f"{result.key:>4}  {result.title}{notes}: {what}", markup=False)

    def _last_sale(self) -> None:
        """What is left of the sale, without faults; then everything comes to rest, down to the last waiting retry."""
        self.console.print("the rest of the sale, without faults ...")
        self.load.begin(rate=max(self.load.rate, LAST_RATE))
        self.load.finish()
        quiet_at, sums, moving = self._drain(LAST_DRAIN_SECONDS, to_the_last=True)
        self.outcome.quiet = quiet_at is not None
        if moving:
            self.outcome.troubles.append(f"never quiet: {moving}")
        self.outcome.sums = sums.beyond(Sums())
        self.outcome.published, self.outcome.deaths = self.load.published, self.fleet.deaths
        self.outcome.charges, self.outcome.refunds = sums.charges, sums.refunds
        self.outcome.happened = dict(self.load.stripe_side.happened) | {
            f"API answers {status}": times for status, times in sorted(self.load.office.answers.items())
        }


@contextlib.contextmanager
def _collecting(result: Result) -> Iterator[None]:
    try:
        yield
    except UnmetError as error:
        result.unmet.append(str(error))
    except Exception as error:  # noqa: BLE001  a case that breaks counts as one that fails, and the run goes on
        result.unmet.append(f"the case itself broke: {type(error).__name__}: {error}")
