"""Where a member and a group belong, in every case that there is."""

from datetime import UTC, datetime, timedelta

import pytest

from workers.rules.groups import ContributionStatus, GroupTransition, capture_at, group_move, member_state

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def paid(state: str, reason: str | None = None, *, off: bool = False, back: bool = False) -> ContributionStatus:
    return ContributionStatus(state, reason, being_cancelled=off, given_back=back)


@pytest.mark.parametrize(
    ("payment", "where"),
    [
        (None, ("invited", None)),
        (paid("requested"), ("paying", None)),
        (paid("processing"), ("paying", None)),
        (paid("authorized"), ("held", None)),
        (paid("succeeded"), ("paid", None)),
        (paid("authorized", off=True), ("failed", "called_off")),
        (paid("succeeded", off=True), ("failed", "called_off")),
        (paid("succeeded", back=True), ("failed", "given_back")),
        (paid("failed", "declined: insufficient_funds"), ("failed", "insufficient_funds")),
        (paid("failed", "declined: stolen_card"), ("failed", "card_declined")),
        (paid("canceled", "automatic"), ("failed", "hold_ended")),
    ],
)
def test_while_the_group_is_open_a_member_stands_as_its_payment_does(
    payment: ContributionStatus | None, where: tuple[str, str | None]
) -> None:
    assert member_state("open", "invited", payment) == where


@pytest.mark.parametrize("ending", ["expired", "canceled"])
@pytest.mark.parametrize(
    ("present", "payment", "where"),
    [
        ("invited", None, "voided"),
        ("held", paid("authorized", off=True), "held"),
        ("paying", paid("charging", off=True), "paying"),
        ("failed", paid("failed", off=True), "failed"),
        ("held", paid("canceled"), "voided"),
        ("paying", paid("succeeded", off=True), "paid"),
        ("paid", paid("succeeded", back=True), "refunded"),
    ],
)
def test_a_group_that_ends_lets_go_only_of_what_is_final(
    ending: str, present: str, payment: ContributionStatus | None, where: str
) -> None:
    assert member_state(ending, present, payment) == (where, None)


@pytest.mark.parametrize(
    ("state", "members", "is_over", "off", "all_over", "move"),
    [
        ("open", ["held", "invited"], False, False, False, None),
        ("open", ["held", "invited"], True, False, False, GroupTransition("expired", "deadline")),
        ("open", ["held", "paid"], True, False, False, GroupTransition("complete")),
        ("open", ["held", "paid"], False, True, False, GroupTransition("canceled", "event_cancelled")),
        ("complete", ["held", "paid"], True, False, False, None),
        ("complete", ["paid", "paid"], True, False, False, GroupTransition("settled")),
        (
            "complete",
            ["paid", "failed"],
            False,
            False,
            False,
            GroupTransition("canceled", "a share could not be captured"),
        ),
        ("expired", ["voided", "refunded"], True, False, True, GroupTransition("voided")),
        ("expired", ["voided", "refunded"], True, False, False, None),
        ("canceled", ["voided", "paid"], False, False, False, None),
        ("settled", ["paid", "refunded"], True, True, False, None),
        ("voided", ["voided"], True, True, True, None),
    ],
)
def test_a_group_moves_by_how_its_members_stand(
    state: str, members: list[str], is_over: bool, off: bool, all_over: bool, move: GroupTransition | None
) -> None:
    assert group_move(state, members, is_over=is_over, event_is_off=off, all_over=all_over) == move


def test_a_hold_is_captured_a_day_before_it_ends_when_the_deadline_is_later() -> None:
    assert capture_at(NOON, NOON + timedelta(days=3)) == NOON - timedelta(days=1)
    assert capture_at(NOON + timedelta(days=7), NOON) is None
    assert capture_at(None, NOON) is None
