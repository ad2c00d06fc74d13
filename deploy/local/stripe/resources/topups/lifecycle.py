"""The life of a top-up: money from the platform's bank account, which always arrives, by the clock.

    pending -> succeeded
       |-> canceled

A canceled one moves no money: it had not arrived yet.
"""

from ...state.recorder import Origin
from ...world import World
from ..balance import ledger


def arrive(world: World, account: str, topup_id: str) -> None:
    """The money is in the balance; nothing if the top-up was canceled in time."""
    topup = world.store.find(account, "topup", topup_id)
    if topup is None or topup.body["status"] != "pending":
        return
    booked = ledger.book(
        world,
        account=account,
        kind="topup",
        reporting_category="topup",
        source=topup.id,
        amount_minor=topup.body["amount"],
        fee_minor=0,
        currency=topup.body["currency"],
        available_on=world.clock.now(),
        description=topup.body["description"],
    )
    topup.body |= {"status": "succeeded", "balance_transaction": booked["id"]}
    world.save(topup)
    world.outbox.emit(account, "topup.succeeded", topup.body, Origin())
    world.recorder.effect("topup", account, topup.body, topup.body["amount"], Origin())
