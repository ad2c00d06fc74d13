"""The sale of `fleet prove shares` is one that intake can read, and the same for the same seed."""

from uuid import UUID

from deploy.local.scenario import groups, orders, resales
from deploy.local.scenario.recipients import Recipients, Seller
from messages.resales import OrderResold
from outbox.intake.order_events import IncomingEvent, decode
from outbox.requests.orders import OrderRequest

SELLERS = (Seller(UUID(int=1), "ada", None), Seller(UUID(int=2), "bob", "acct_bob"))
RECIPIENTS = Recipients(tuple(orders.tenants()), (), SELLERS)


def test_every_event_of_the_sale_can_be_read() -> None:
    first = [one for one in resales.primary(sales=20, seed=1, run="r") if one.log.get("published") == "order"]
    again = resales.resales(first, RECIPIENTS, resales=20, seed=1, run="r")
    together = groups.groups(first, count=20, seed=1, run="r")

    read = [decode(IncomingEvent(one.body)) for one in (*first, *again, *resales.schedule(RECIPIENTS))]
    of_groups = [decode(IncomingEvent(one.body)) for one in (*together.opened, *together.paid)]

    assert sum(isinstance(one.content, OrderRequest) for one in read) == 40
    assert {one.event.type for one in read[20:40]} == {OrderResold.event_type}
    assert len(of_groups) >= 20 + 20 * 2


def test_the_same_seed_gives_the_same_sale() -> None:
    first = [one for one in resales.primary(sales=5, seed=2, run="r") if one.log.get("published") == "order"]

    def sold() -> list[str]:
        return [one.log["order_id"] for one in resales.resales(first, RECIPIENTS, resales=5, seed=2, run="r")]

    assert sold() == sold()
