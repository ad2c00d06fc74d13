"""What the dramatiq command loads: settings, broker, and every actor.

    python -m workers.main --processes 2 --threads 8
    python -m workers.main --processes 1 --threads 8 --queue-class charges     (of messages/queue_classes.py)

checks the settings and the broker's topology first, then becomes the dramatiq command; each process which that starts
calls `start` and so makes its own pool and Stripe client (both must be made after the fork). With HEALTH_PORT set one
more process serves health and metrics of the whole family (workers/runtime/health.py).
"""

import os
import signal
import sys
import threading
from typing import Any, NoReturn

import dramatiq
from dramatiq.middleware import CurrentMessage, Middleware

from db.session import Database
from db.settings import DatabaseSettings
from messages.queue_classes import queue_classes
from messages.runtime.cache import CacheSettings
from messages.runtime.settings import SettingsError, load, stop_the_start
from outbox.broker import topology
from outbox.broker.dramatiq_broker import GIVE_BACK, FleetBroker
from outbox.broker.settings import BrokerSettings
from outbox.broker.strict_encoder import StrictEncoder
from outbox.process.health import HealthSettings
from outbox.process.load import keep_telling
from outbox.process.logs import configure_logs
from outbox.process.run import starting
from outbox.process.shutdown import leave_at_last
from outbox.process.tracing import flush, start_tracing
from outbox.sealing import OpenSettings, Sealer, SealSettings
from stripe_client.gateway import Gateway
from stripe_client.rate_limit.limiter import RateLimiter
from stripe_client.settings import BudgetSettings, StripeSettings
from workers import sweep
from workers.dead_letters import classify, replay
from workers.disputes import answer as dispute_answer
from workers.disputes import look_up as dispute_look_up
from workers.groups import group
from workers.ledger import seal as ledger_seal
from workers.minting import mint
from workers.operators import carry_out
from workers.payments import cancel, capture, charge
from workers.payments import look_up as payment_look_up
from workers.payouts import account_payouts, payouts, statements
from workers.reconciliation import reconcile, retention
from workers.refunds import look_up as refund_look_up
from workers.refunds import mass_refund, refund
from workers.runtime import actor
from workers.runtime.actor import ACTORS, Actor
from workers.runtime.load import CountHandled, shown_load
from workers.runtime.retries import DATABASE_PATIENCE_SECONDS, NotWrittenDownError
from workers.runtime.settings import PERIODIC_SETTINGS
from workers.shares import escrow, share
from workers.shares import reconcile as share_reconcile
from workers.transfers import look_up_account, reverse, transfer
from workers.webhooks import event_sweep, webhook

# Some 30 consumers are parted from one after another, and the grace is 30 s longer than the longest run.
GOODBYE_SECONDS = 20.0


class GiveBackWhatWasNotWrittenDown(Middleware):
    """A delivery whose outcome is not committed goes back to the broker instead of being acked."""

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        del broker, result
        if exception is not None:
            message.options[GIVE_BACK] = True
            message.fail()


class SendLastSpans(Middleware):
    """A fork of multiprocessing ends without what Python does at its end."""

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        del broker, worker
        flush()


class LeaveAtLast(Middleware):
    """Handlers have all their time; then a broker that is there and silent must not hold up our goodbye to it."""

    def before_worker_shutdown(self, broker: Any, worker: Any) -> None:
        del broker
        handled = threading.Event()
        leave_at_last(handled, GOODBYE_SECONDS)

        def watch() -> None:
            for thread in worker.workers:
                thread.join()
            handled.set()

        threading.Thread(target=watch, name="handlers-end", daemon=True).start()


def build(broker: FleetBroker, db: Database, stripe: Gateway, sealer: Sealer) -> None:
    """Give every registered actor to Dramatiq."""
    broker.add_middleware(CurrentMessage())
    broker.add_middleware(GiveBackWhatWasNotWrittenDown())
    for kind, entry in ACTORS.items():
        broker.declare_actor(_dramatiq_actor(broker, kind, entry, db, stripe, sealer))


def _dramatiq_actor(broker: FleetBroker, kind: str, entry: Actor, db: Database, stripe: Gateway, sealer: Sealer) -> Any:
    def perform(payload: dict[str, Any]) -> None:
        message = CurrentMessage.get_current_message()
        assert message is not None, "Dramatiq calls this only while it handles a message"
        actor.run(entry, payload, actor.envelope_of(message.message_id, message.options), db, stripe, sealer)

    return dramatiq.Actor(
        perform,
        broker=broker,
        actor_name=kind,
        queue_name=entry.route.queue,
        priority=0,
        options={"time_limit": entry.route.patience.time_limit_seconds * 1000, "throws": (NotWrittenDownError,)},
    )


def start() -> None:
    """Make this process a worker; called by the dramatiq command in each process it starts."""
    database, broker_settings, stripe_settings, seal = _settings()
    budget, cache = load(BudgetSettings, CacheSettings)
    governor = RateLimiter(budget, cache)
    configure_logs(database.app_env, "worker")
    start_tracing("worker")
    broker = FleetBroker(broker_settings.rabbitmq_url.get_secret_value())
    dramatiq.set_broker(broker)
    dramatiq.set_encoder(StrictEncoder())
    broker.add_middleware(counting := CountHandled())
    broker.add_middleware(SendLastSpans())
    broker.add_middleware(LeaveAtLast())
    build(broker, Database(database, application="fleet-worker"), Gateway(stripe_settings, governor), Sealer(seal))
    keep_telling(cache, lambda: shown_load(broker, counting))


def _settings() -> tuple[DatabaseSettings, BrokerSettings, StripeSettings, SealSettings]:
    """All that a worker reads, so that every problem is named at once; handlers read their own classes again."""
    try:
        load(
            *(DatabaseSettings, BrokerSettings, CacheSettings, StripeSettings, BudgetSettings),
            *(SealSettings, OpenSettings, HealthSettings, *PERIODIC_SETTINGS),
        )
        return load(DatabaseSettings, BrokerSettings, StripeSettings, SealSettings)
    except SettingsError as error:
        stop_the_start(error)


def dramatiq_words(words: list[str]) -> list[str]:
    """Our `--queue-class NAME` in the command's own words; everything else is passed on as it is.

    Raises:
        SettingsError: no such class; a worker that served other queues than it was asked to would go unnoticed.
    """
    if "--queue-class" not in words:
        return words
    at = words.index("--queue-class")
    name, classes = "".join(words[at + 1 : at + 2]), queue_classes()
    if name not in classes:
        raise SettingsError([f"--queue-class {name!r} is none of {', '.join(classes)}."])
    return [*words[:at], *words[at + 2 :], "--queues", *classes[name]]


def main() -> None:
    with starting():
        words = dramatiq_words(sys.argv[1:])
        database, broker_settings, _, _ = _settings()
        configure_logs(database.app_env, "workers")
        if problems := topology.problems_of_patience(DATABASE_PATIENCE_SECONDS):
            raise SettingsError(problems)
        topology.declare_when_reachable(broker_settings.rabbitmq_url.get_secret_value())
        (health,) = load(HealthSettings)
    from dramatiq import cli  # noqa: PLC0415  the command forks; load it only to become it

    watching = ["--fork-function", "workers.runtime.health:serve"] if health.health_port else []
    sys.argv = ["dramatiq", "workers.main:start", *watching, *words]
    code = cli.main()  # type: ignore[no-untyped-call]  # Dramatiq types its public face only
    if code == cli.RET_KILLED:
        _end_as_killed()
    sys.exit(code)


def _end_as_killed() -> NoReturn:
    """One of our processes was killed (out of memory, an operator, a fault test), and the command has stopped the rest.

    Its exit code 1 would read as a start that failed, and a few of those make a supervisor give up.
    """
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody outlives SIGKILL")


if __name__ == "__main__":
    main()
