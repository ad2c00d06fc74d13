"""Everything an operation may touch (`World`), and the API call that it answers (`Call`)."""

from dataclasses import dataclass

from . import PLATFORM
from .faults import FaultRules
from .settings import Settings
from .state.clock import Clock
from .state.idempotency import IdempotencyKeys
from .state.identifiers import Identifiers
from .state.recorder import Origin, Recorder
from .state.schedule import Schedule
from .state.store import Record, Store
from .webhooks.outbox import Outbox
from .wire.errors import Json


@dataclass(slots=True)
class World:
    """The emulator's state and its parts, one per process. Not safe for threads: one event loop uses it, and nothing
    awaits inside a transaction.
    """

    settings: Settings
    store: Store
    clock: Clock
    identifiers: Identifiers
    keys: IdempotencyKeys
    recorder: Recorder
    schedule: Schedule
    faults: FaultRules
    outbox: Outbox
    overdraws: bool  # card refunds beyond the available balance: settings say how it starts, the control API switches

    @classmethod
    def open(cls, settings: Settings) -> "World":
        """Open the database of the settings, made if it is not there, and take up its clock, keys and endpoints."""
        store = Store(settings.database, settings.search_lag_seconds)
        starts = (store.setting("starts") or 0) + 1
        store.save_setting("starts", starts)
        clock = Clock.load(store)
        identifiers = Identifiers(settings.seed, starts)
        recorder = Recorder(store, clock)
        faults = FaultRules(recorder, identifiers.random)
        outbox = Outbox(settings, store, clock, identifiers, faults)
        keys, schedule = IdempotencyKeys(store, clock), Schedule(store, clock)
        overdraws = settings.refunds_beyond_balance == "overdraw"
        return cls(settings, store, clock, identifiers, keys, recorder, schedule, faults, outbox, overdraws)

    def insert(self, account: str, kind: str, body: Json, private: Json | None = None) -> Record:
        """Store a new object. `kind` is Stripe's object name; `private` is what Stripe knows and does not show."""
        return self.store.insert(Record(account, kind, body, private or {}), self.clock.precise())

    def save(self, record: Record) -> None:
        """Store what was changed in `record.body` or `record.private`."""
        self.store.save(record, self.clock.precise())


@dataclass(slots=True)
class Call:
    """One API call as an operation sees it: parameters are typed, `path_ids` are the ids of the URL in order."""

    world: World
    account: str
    origin: Origin
    path: str
    path_ids: tuple[str, ...]
    parameters: Json

    @property
    def in_connected_account(self) -> bool:
        """Whether the request named a connected account by `Stripe-Account`."""
        return self.account != PLATFORM
