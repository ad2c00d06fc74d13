"""Group payments: all or nothing, to the cent."""

from collections.abc import Iterable

from db.groups.verify import BookedGroup
from workers.verify.money import IN_HAND_SECONDS
from workers.verify.report import RESTING_GROUPS, KindCount, Report


def check_groups(report: Report, groups: Iterable[BookedGroup]) -> None:
    """A settled group has captured the sum of its contributions (less later refunds) and nothing more; a voided group
    has captured and authorized nothing; every other group has a deadline ahead or a message pending.
    """
    for group in groups:
        rests = group.state == "open" and not group.is_over and not group.is_waited_for
        count = report.kinds[RESTING_GROUPS if rests else "groups"]
        count.attempted += 1
        if group.state == "voided":
            _check_voided(report, count, group)
        elif group.state == "settled":
            _check_settled(report, count, group)
        else:
            _check_moving(report, count, group)


def _check_voided(report: Report, count: KindCount, group: BookedGroup) -> None:
    if not (group.live or group.kept_minor or group.stray_minor):
        count.done += 1
    elif group.has_dead_letter:  # a refund failed at the bank, and the buyer is owed the amount
        count.dead += 1
    else:
        count.unexpected += 1
        kept = f"keeps {group.kept_minor + group.stray_minor} minor units and has {group.live} payments still open"
        report.findings.append(f"group {group.group_id} is voided but {kept}")


def _check_settled(report: Report, count: KindCount, group: BookedGroup) -> None:
    """Contributions may be refunded one by one after settlement; no second payment may have captured a contribution."""
    if not (group.live or group.stray_minor) and group.kept_minor <= group.amount_minor:
        count.done += 1
    elif group.is_waited_for:  # the replaced payment is being released or refunded
        count.waiting += 1
    elif group.has_dead_letter:
        count.dead += 1
    else:
        count.unexpected += 1
        kept = f"keeps {group.kept_minor} of {group.amount_minor}, plus {group.stray_minor} of replaced payments"
        report.findings.append(f"group {group.group_id} is settled but {kept}, with {group.live} payments open")


def _check_moving(report: Report, count: KindCount, group: BookedGroup) -> None:
    rests = group.state == "open" and not group.is_over
    if group.has_dead_letter:
        count.dead += 1
    elif rests or group.is_waited_for or group.seconds_since_move < IN_HAND_SECONDS:
        count.waiting += 1
    else:
        count.lost += 1
        report.findings.append(f"group {group.group_id} is stuck as {group.state}: no message is left for it")
