"""FAULTS 1: groups complete, expire and are called off while processes die at every point that they pass.

What is complete is captured once, to the cent; of everything else nothing is held or kept in the end.
"""

from collections import Counter
from typing import Any
from uuid import UUID

import psycopg

from deploy.local.scenario.events import Publication
from messages.groups import GroupCancelDue
from outbox.append import append
from tests import factories
from tests.faults.points import CAPTURE, GROUPS, REFUND, points_of
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean
from tests.workers.groups.scenario import let_deadline_pass

POINTS = points_of(GROUPS | CAPTURE | REFUND)
FINAL = {"settled", "voided"}


def test_groups_are_all_or_nothing_in_spite_of_kills(fleet: Fleet) -> None:
    every = first_share_paid(fleet, 16)
    complete, expiring, unwanted, called_off = (every[kind::4] for kind in range(4))
    for point in POINTS:
        fleet.arm(point)

    with psycopg.connect(fleet.owner_url, autocommit=True) as owner:
        for group in expiring:
            let_deadline_pass(owner, UUID(group["group_id"]))
    with fleet.db.ops_transaction() as tx:
        append(tx, *(GroupCancelDue(**ids(group), reason="a person said so", by="ops:ada") for group in called_off))
    complete_and_cancel(fleet, complete, unwanted)
    while not everyone_has_died(fleet):
        # A webhook has settled what a dead worker was about to write, so nobody came to that point: two groups more.
        assert len(complete) < 10, f"nobody comes to {[point for point in POINTS if fleet.crashes_left(point)]}"
        completing, cancelled = first_share_paid(fleet, 2)
        complete_and_cancel(fleet, [completing], [cancelled])
        complete, unwanted = [*complete, completing], [*unwanted, cancelled]
    fleet.wait_until(lambda: ended(fleet), "every group has ended", timeout=120)

    let_go = [*expiring, *unwanted, *called_off]
    assert states(fleet) == Counter(settled=len(complete), voided=len(let_go))
    assert_clean(fleet, hurry=True)
    effects = Counter(effect["kind"] for effect in fleet.control.effects())
    charged = 1 + len(complete) + len(let_go) + len(complete)  # the fixture's own order; all firsts; the seconds
    assert (effects["charge"], effects["refund"]) == (charged, len(let_go))
    assert sum(row["minor"] for row in fleet.rows(KEPT)) == len(complete) * 2500


def first_share_paid(fleet: Fleet, count: int) -> list[dict[str, Any]]:
    """Groups of two, whose first has paid and whose second has not; all at rest."""
    made = [factories.group(fleet.tenants["Rhine Arena"], (1000, 1500)) for _ in range(count)]
    fleet.publish(*(told("opened", group) for group in made))
    fleet.publish(*(told("share_paid_with", factories.share(group, 0, capture="automatic")) for group in made))
    fleet.wait_until(lambda: paid(fleet, made) == count, "the first share of each is captured", timeout=120)
    fleet.wait_until_quiet()
    return made


def complete_and_cancel(fleet: Fleet, complete: list[dict[str, Any]], unwanted: list[dict[str, Any]]) -> None:
    fleet.publish(*(told("share_paid_with", factories.share(group, 1)) for group in complete))
    fleet.publish(*(told("cancelled", ids(group)) for group in unwanted))


def everyone_has_died(fleet: Fleet) -> bool:
    """False when all has come to rest and a point is left."""

    def is_left() -> bool:
        return any(map(fleet.crashes_left, POINTS))

    def is_over() -> bool:
        fleet.change(
            "UPDATE outbox SET due_at = clock_timestamp() WHERE due_at > clock_timestamp() AND kind <> 'group'"
        )
        return not is_left() or not fleet.moving()

    fleet.wait_until(is_over, "a process died at each point, or nothing moves any more", timeout=240)
    return not is_left()


KEPT = """
    SELECT c.amount_minor - c.refunded_minor AS minor FROM charges c JOIN payments p USING (tenant_id, payment_id)
    WHERE p.group_id IS NOT NULL
"""


def told(word: str, data: dict[str, Any]) -> Publication:
    return Publication(factories.group_event(word, data), {"published": "group"})


def ids(group: dict[str, Any]) -> dict[str, Any]:
    return {"group_id": group["group_id"], "tenant_id": group["tenant_id"]}


def paid(fleet: Fleet, groups: list[dict[str, Any]]) -> int:
    paid_for = "SELECT count(*) FROM group_members WHERE state = 'paid' AND group_id = ANY(%s::uuid[])"
    return int(fleet.rows(paid_for, [group["group_id"] for group in groups])[0]["count"])


def states(fleet: Fleet) -> Counter[str]:
    return Counter(row["state"] for row in fleet.rows("SELECT state FROM groups"))


def ended(fleet: Fleet) -> bool:
    fleet.hurry()
    return set(states(fleet)) <= FINAL
