"""The checker's look at groups finds what must not be, and calls nothing lost that is waited for."""

from dataclasses import replace
from uuid import uuid4

import pytest

from db.groups.verify import BookedGroup
from workers.verify.groups import check_groups
from workers.verify.report import Report

SETTLED = BookedGroup(
    tenant_id=uuid4(),
    group_id=uuid4(),
    state="settled",
    amount_minor=3000,
    is_over=True,
    seconds_since_move=3600,
    kept_minor=3000,
    live=0,
    stray_minor=0,
    is_waited_for=False,
    has_dead_letter=False,
)
VOIDED = replace(SETTLED, state="voided", kept_minor=0)


@pytest.mark.parametrize(
    ("group", "count"),
    [
        (SETTLED, "done"),
        (replace(SETTLED, kept_minor=2000), "done"),  # a share was refunded since
        (replace(SETTLED, kept_minor=3001), "unexpected"),
        (replace(SETTLED, live=1), "unexpected"),
        (replace(SETTLED, live=1, is_waited_for=True), "waiting"),
        (replace(SETTLED, stray_minor=1), "unexpected"),
        (replace(SETTLED, stray_minor=1, has_dead_letter=True), "dead"),
        (VOIDED, "done"),
        (replace(VOIDED, kept_minor=1), "unexpected"),
        (replace(VOIDED, kept_minor=1, has_dead_letter=True), "dead"),
        (replace(VOIDED, live=1), "unexpected"),
        (replace(VOIDED, stray_minor=1), "unexpected"),
        (replace(VOIDED, state="open", is_over=False, is_waited_for=True), "waiting"),
        (replace(VOIDED, state="open"), "lost"),
        (replace(VOIDED, state="complete"), "lost"),
        (replace(VOIDED, state="complete", has_dead_letter=True), "dead"),
        (replace(VOIDED, state="expired", is_waited_for=True), "waiting"),
        (replace(VOIDED, state="canceled", seconds_since_move=1), "waiting"),
    ],
)
def test_a_group_is_counted_as_what_it_is(group: BookedGroup, count: str) -> None:
    report = Report()

    check_groups(report, [group])

    assert getattr(report.kinds["groups"], count) == report.kinds["groups"].attempted == 1
    assert bool(report.findings) == (count in {"lost", "unexpected"})


def test_a_group_that_waits_for_its_members_keeps_nobody_from_being_quiet() -> None:
    report = Report()

    check_groups(report, [replace(VOIDED, state="open", is_over=False)])

    assert report.kinds["groups with their members"].waiting == 1
    assert report.quiet
