"""Everything an operation may touch, and the call it answers."""

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
        return self.store.insert(Record(account, kind, body, private or {}), self.clock.precise())

    def save(self, record: Record) -> None:
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
        return self.account != PLATFORM
