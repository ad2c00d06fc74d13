"""What Stripe does by itself when money becomes available: it says so, and sends the refunds that waited for it."""

from ...state.recorder import Origin
from ...world import World
from ..refunds import lifecycle as refunds
from . import ledger


def arrive(world: World, account: str) -> None:
    world.outbox.emit(account, "balance.available", ledger.current(world, account), Origin())
    refunds.fund_waiting(world, account)
