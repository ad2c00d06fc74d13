"""FAULTS 1: groups complete, expire and are called off while processes die at every point that they pass.

What is complete is captured once, to the cent; of everything else nothing is held or kept in the end.
"""

from collections import Counter
from typing import Any
from uuid import UUID

import psycopg

from deploy.local.demo.sale import Publication
from messages.groups import GroupCancelDue
from outbox.append import append
from tests import factories
from tests.faults.points import CAPTURE, GROUPS, REFUND, points_of
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean
from tests.workers.grouping import let_deadline_pass

POINTS = points_of(GROUPS | CAPTURE | REFUND)
FINAL = {"settled", "voided"}


def test_groups_are_all_or_nothing_in_spite_of_kills(fleet: Fleet) -> None:
    complete, expiring, unwanted, called_off = (
        [factories.group(fleet.tenants["Rhine Arena"], (1000, 1500)) for _ in range(4)] for _ in range(4)
    )
    every = [*complete, *expiring, *unwanted, *called_off]
    fleet.publish(*(told("opened", group) for group in every))
    fleet.publish(*(told("share_paid_with", factories.share(group, 0, capture="automatic")) for group in every))
    fleet.wait_until(lambda: paid(fleet) == len(every), "the first share of each is captured")
    fleet.wait_until_quiet()
    for point in POINTS:
        fleet.arm(point)

    fleet.publish(*(told("share_paid_with", factories.share(group, 1)) for group in complete))
    fleet.publish(*(told("cancelled", ids(group)) for group in unwanted))
    with psycopg.connect(fleet.owner_url, autocommit=True) as owner:
        for group in expiring:
            let_deadline_pass(owner, UUID(group["group_id"]))
    with fleet.db.ops_transaction() as tx:
        append(tx, *(GroupCancelDue(**ids(group), reason="a person said so", by="ops:ada") for group in called_off))
    fleet.wait_until(lambda: not any(map(fleet.crashes_left, POINTS)), "a process died at each point", timeout=120)
    fleet.wait_until(lambda: ended(fleet), "every group has ended", timeout=120)

    assert states(fleet) == Counter(settled=4, voided=12)
    assert_clean(fleet, hurry=True)
    effects = Counter(effect["kind"] for effect in fleet.control.effects())
    assert (effects["charge"], effects["refund"]) == (
        1 + 16 + 4,
        12,
    )  # the fixture's own order; all firsts; the seconds
    assert sum(row["minor"] for row in fleet.rows(KEPT)) == 4 * 2500


KEPT = """
    SELECT c.amount_minor - c.refunded_minor AS minor FROM charges c JOIN payments p USING (tenant_id, payment_id)
    WHERE p.group_id IS NOT NULL
"""


def told(word: str, data: dict[str, Any]) -> Publication:
    return Publication(factories.group_event(word, data), {"published": "group"})


def ids(group: dict[str, Any]) -> dict[str, Any]:
    return {"group_id": group["group_id"], "tenant_id": group["tenant_id"]}


def paid(fleet: Fleet) -> int:
    return int(fleet.rows("SELECT count(*) FROM group_members WHERE state = 'paid'")[0]["count"])


def states(fleet: Fleet) -> Counter[str]:
    return Counter(row["state"] for row in fleet.rows("SELECT state FROM groups"))


def ended(fleet: Fleet) -> bool:
    fleet.hurry()
    return set(states(fleet)) <= FINAL
