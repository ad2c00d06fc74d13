"""What a group says of itself must add up before anybody is invited."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from messages.group_allocation import lines_of_shares, together
from messages.groups import GroupOpened, share_order_id
from messages.ids import TicketId
from messages.orders import Ticket

TICKETS = [str(uuid4()) for _ in range(2)]
MEMBERS = [str(uuid4()) for _ in range(2)]


def opened(**changes: Any) -> dict[str, Any]:
    return {
        "group_id": str(uuid4()),
        "tenant_id": str(uuid4()),
        "venue_id": str(uuid4()),
        "event_id": str(uuid4()),
        "tickets": [{"ticket_id": ticket, "face_price_minor": 1000, "seat": "A1"} for ticket in TICKETS],
        "amount": {"minor": 2000, "currency": "eur"},
        "organiser_id": MEMBERS[0],
        "members": [
            {"member_id": member, "buyer_id": f"buyer {member}", "share_minor": 1000, "ticket_ids": []}
            for member in MEMBERS
        ],
        "deadline": datetime(2030, 1, 1, tzinfo=UTC).isoformat(),
    } | changes


def members(change: Callable[[list[dict[str, Any]]], None]) -> dict[str, Any]:
    data = opened()
    change(data["members"])
    return data


def test_a_group_that_adds_up_is_read() -> None:
    assert GroupOpened.model_validate(opened()).amount.minor == 2000


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (members(lambda them: them[0].update(share_minor=999)), "shares to 1999"),
        (opened(amount={"minor": 1999, "currency": "eur"}), "add up to 2000"),
        (members(lambda them: them[1].update(member_id=MEMBERS[0])), "listed twice"),
        (members(lambda them: them[1].update(buyer_id=them[0]["buyer_id"])), "listed twice"),
        (opened(organiser_id=str(uuid4())), "organiser is not a member"),
        (members(lambda them: [one.update(ticket_ids=[TICKETS[0]]) for one in them] and None), "two members"),
        (members(lambda them: them[0].update(ticket_ids=[str(uuid4())])), "not in the order"),
        (opened(remind_at=["2030-01-01T00:00:00Z"]), "after the deadline"),
        (opened(remind_at=["2029-12-01T00:00:00Z", "2029-12-01T00:00:30Z"]), "less than a minute apart"),
        (members(lambda them: them[0].update(share_minor=0)), "greater than 0"),
    ],
)
def test_a_group_that_does_not_add_up_is_refused(data: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        GroupOpened.model_validate(data)


def test_each_attempt_of_a_group_is_one_order_for_ever() -> None:
    group = uuid4()

    assert share_order_id(group, 1) == share_order_id(group, 1)
    assert len({share_order_id(group, 1), share_order_id(group, 2), share_order_id(uuid4(), 1)}) == 3


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=12).filter(any),
    st.lists(st.integers(1, 100), min_size=1, max_size=8),
)
def test_every_ticket_is_paid_to_the_cent_and_every_share_buys_something(prices: list[int], weights: list[int]) -> None:
    tickets = [Ticket(ticket_id=TicketId(uuid4()), face_price_minor=price, seat="A") for price in prices]
    total, last = sum(prices), len(weights) - 1
    if total < len(weights):
        return
    shares = [max(1, (total - last) * weight // sum(weights)) for weight in weights]
    shares[last] += total - sum(shares)
    if shares[last] < 1:
        return

    lines = lines_of_shares(tickets, shares)

    assert [sum(ticket.face_price_minor for ticket in line) for line in lines] == shares
    whole = {ticket.ticket_id: ticket.face_price_minor for ticket in together(lines)}
    assert whole == {ticket.ticket_id: ticket.face_price_minor for ticket in tickets}
    assert all(len({ticket.ticket_id for ticket in line}) == len(line) for line in lines)
