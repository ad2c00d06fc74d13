"""Groups from a seed, each of which pays one order in shares: most come together, in some the organiser steps in, and
some do not, so that everybody gets everything back when the deadline has passed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid5

from deploy.local.scenario.events import Publication, placed, publication
from deploy.local.scenario.recipients import NAMES
from messages.groups import GroupOpened, GroupSharePaidWith, GroupToppedUp

MEMBERS = 3
# Longer than the sale and the phases that follow it take on a machine with nothing else to do.
DEADLINE = timedelta(minutes=8)


@dataclass(frozen=True, slots=True)
class GroupEvents:
    """Who is invited goes before the sale, who pays after it."""

    opened: list[Publication]
    paid: list[Publication]


def groups(first: Iterable[Publication], *, count: int, seed: int, run: str) -> GroupEvents:
    chance = Random(f"{seed}/groups")  # noqa: S311  seeded, not a secret
    sold = placed(first)
    opened, paid = [], []
    for number in range(count):
        data = _opened(chance.choice(sold), f"{run}/{number}")
        opened.append(_event(GroupOpened.event_type, data, f"opened-{data['group_id']}"))
        throw = chance.randrange(10)
        payers = data["members"][: MEMBERS if throw < 7 else MEMBERS - 1]
        paid += [_event(GroupSharePaidWith.event_type, _share(data, one), f"paid-{one['member_id']}") for one in payers]
        if throw == 9:
            words = {"group_id": data["group_id"], "tenant_id": data["tenant_id"], "payment_method_id": "pm_card_visa"}
            words["idempotency_key"] = f"topped-up-{data['group_id']}"
            paid.append(_event(GroupToppedUp.event_type, words, f"topped-up-{data['group_id']}"))
    return GroupEvents(opened, paid)


def _opened(sold: dict[str, Any], key: str) -> dict[str, Any]:
    price = sold["tickets"][0]["face_price_minor"]
    tickets = [
        {"ticket_id": str(uuid5(NAMES, f"group/{key}/{seat}")), "face_price_minor": price, "seat": f"G{seat}"}
        for seat in range(MEMBERS)
    ]
    members = [
        {
            "member_id": str(uuid5(NAMES, f"member/{key}/{seat}")),
            "buyer_id": f"friend-{uuid5(NAMES, f'{key}/{seat}')}",
            "share_minor": price,
            "ticket_ids": [ticket["ticket_id"]],
        }
        for seat, ticket in enumerate(tickets)
    ]
    return {
        "group_id": str(uuid5(NAMES, f"group/{key}")),
        **{name: sold[name] for name in ("tenant_id", "venue_id", "event_id")},
        "tickets": tickets,
        "amount": {"minor": price * MEMBERS, "currency": sold["amount"]["currency"]},
        "organiser_id": members[0]["member_id"],
        "members": members,
        "deadline": (datetime.now(UTC) + DEADLINE).isoformat(),
    }


def _share(data: dict[str, Any], member: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: data[name] for name in ("group_id", "tenant_id")},
        **{name: member[name] for name in ("member_id", "buyer_id")},
        "payment_method_id": "pm_card_visa",
        "idempotency_key": f"share-{member['member_id']}",
    }


def _event(kind: str, data: dict[str, Any], event_id: str) -> Publication:
    return publication(kind, data, event_id, {"published": "group"})
