"""Replay checks of group payments: the group's own messages, and what the order service asked for of a group.

Reads only. Intake checks everything else again when the event is replayed, with the group's row locked.
"""

from db.groups import contributions, groups
from db.groups.states import GroupState
from db.session import Database
from messages.groups import GroupCancelDue, GroupCancelled, GroupDue, GroupOpened, GroupSharePaidWith, GroupToppedUp
from messages.money import Money
from outbox.intake.order_events import DecodedEvent
from outbox.requests.orders import check_venues, fingerprint_of
from workers.rules.replay_check import ReplayCheck, check_once, check_order_event


def look(msg: GroupDue, db: Database) -> ReplayCheck:
    """Looking at a group again is always harmless."""
    with db.transaction(msg.tenant_id) as tx:
        known = groups.get(tx, msg.group_id) is not None
    return check_once(known=known, is_open=known)


def cancel(msg: GroupCancelDue, db: Database) -> ReplayCheck:
    """Safe while the group can still be cancelled: open or complete."""
    with db.transaction(msg.tenant_id) as tx:
        group = groups.get(tx, msg.group_id)
    return check_once(known=group is not None, is_open=group is not None and _may_be_canceled(group.state))


def opened(event: DecodedEvent, request: GroupOpened, db: Database) -> ReplayCheck:
    """A group that intake refused to open.

    Raises:
        UnacceptableOrder: its venue is still unknown.
    """
    with db.transaction(event.tenant_id) as tx:
        group = groups.get(tx, request.group_id)
        check_venues(tx, [request])
    same = group is not None and group.fingerprint == fingerprint_of(request)
    return check_order_event(None, known=group is not None, same=same, amount=None)


def cancelled(event: DecodedEvent, request: GroupCancelled, db: Database) -> ReplayCheck:
    """Already done when the group cannot be cancelled any more, whatever ended it."""
    with db.transaction(event.tenant_id) as tx:
        group = groups.get(tx, request.group_id)
    if group is None:
        return _unknown(request.group_id)
    return check_order_event(None, known=not _may_be_canceled(group.state), same=True, amount=None)


def contribution(event: DecodedEvent, request: GroupSharePaidWith | GroupToppedUp, db: Database) -> ReplayCheck:
    """What a member pays: its own part, or more of the rest."""
    with db.transaction(event.tenant_id) as tx:
        group = groups.get(tx, request.group_id)
        attempts = contributions.attempts(tx, request.group_id)
    if group is None:
        return _unknown(request.group_id)
    if any(attempt.idempotency_key == request.idempotency_key for attempt in attempts):
        return check_order_event(None, known=True, same=True, amount=None)
    if group.state is not GroupState.OPEN or group.is_over:
        refusal = f"the group is {group.state.value}; it takes no contribution any more"
        return check_order_event(refusal, known=False, same=False, amount=None)
    return check_order_event(None, known=False, same=False, amount=Money(group.amount_minor, group.currency))


def _unknown(group_id: object) -> ReplayCheck:
    return check_order_event(f"group {group_id} is unknown here", known=False, same=False, amount=None)


def _may_be_canceled(state: GroupState) -> bool:
    return state in {GroupState.OPEN, GroupState.COMPLETE}
