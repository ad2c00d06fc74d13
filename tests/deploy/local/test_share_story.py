"""The story of `fleet shares-proof` is one that intake can read, and the same for the same seed."""

from uuid import UUID

from deploy.local.proofs.demo import sale
from deploy.local.proofs.shares import group_story, story
from deploy.local.proofs.shares.market import Market, Seller
from messages.resales import OrderResold
from outbox.intake.order_events import IncomingEvent, decode
from outbox.requests.orders import OrderRequest

MARKET = Market(tuple(sale.tenants()), (), (Seller(UUID(int=1), "ada", None), Seller(UUID(int=2), "bob", "acct_bob")))


def test_every_event_of_the_story_can_be_read() -> None:
    first = [one for one in story.primary(sales=20, seed=1, run="r") if one.log.get("published") == "order"]
    again = story.resales(first, MARKET, resales=20, seed=1, run="r")
    together = group_story.groups(first, count=20, seed=1, run="r")

    read = [decode(IncomingEvent(one.body)) for one in (*first, *again, *story.schedule(MARKET))]
    groups = [decode(IncomingEvent(one.body)) for one in (*together.opened, *together.paid)]

    assert sum(isinstance(one.content, OrderRequest) for one in read) == 40
    assert {one.event.type for one in read[20:40]} == {OrderResold.event_type}
    assert len(groups) >= 20 + 20 * 2


def test_the_same_seed_tells_the_same_story() -> None:
    first = [one for one in story.primary(sales=5, seed=2, run="r") if one.log.get("published") == "order"]

    def sold() -> list[str]:
        return [one.log["order_id"] for one in story.resales(first, MARKET, resales=5, seed=2, run="r")]

    assert sold() == sold()
