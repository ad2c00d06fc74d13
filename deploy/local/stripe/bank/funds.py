"""What Stripe does by itself when money becomes available: it says so, and sends the refunds that waited for it."""

from deploy.local.stripe.bank import balance, refunding
from deploy.local.stripe.state.recorder import Origin
from deploy.local.stripe.world import World


def arrive(world: World, account: str) -> None:
    world.outbox.emit(account, "balance.available", balance.current(world, account), Origin())
    refunding.fund_waiting(world, account)
