"""As judging.py, for letters about groups: the group's own work, and what the order service asked of one."""

from typing import Any

from pydantic import ValidationError

from db.groups import contributions, groups
from db.groups.states import GroupState
from db.session import Database
from messages.groups import GroupCancelDue, GroupCancelled, GroupDue, GroupOpened
from messages.money import Money
from messages.queues import kind_to_message
from outbox.intake.order_events import DecodedEvent, GroupRequest
from outbox.requests.orders import check_venues, fingerprint_of
from workers.rules import replay_charges
from workers.rules.replay_charges import ReplayCheck

KINDS = frozenset({GroupDue.kind, GroupCancelDue.kind})


def judge_work(kind: str, payload: dict[str, Any], db: Database) -> ReplayCheck:
    """Looking at a group again is always harmless; calling it off is done once."""
    try:
        message = kind_to_message()[kind].model_validate(payload)
    except ValidationError:
        return replay_charges.UNREADABLE
    assert isinstance(message, GroupDue | GroupCancelDue), "the two kinds that come here"
    with db.transaction(message.tenant_id) as tx:
        group = groups.get(tx, message.group_id)
    is_open = group is not None and (isinstance(message, GroupDue) or _may_be_called_off(group.state))
    return replay_charges.judge_step(known=group is not None, open_=is_open)


def judge_wish(event: DecodedEvent, wish: GroupRequest, db: Database) -> ReplayCheck:
    """What intake could not grant; the door asks everything else again, with the group's row locked.

    Raises:
        Unreadable: its venue is still unknown.
    """
    with db.transaction(event.tenant_id) as tx:
        group = groups.get(tx, wish.group_id)
        if isinstance(wish, GroupOpened):
            check_venues(tx, [wish])
            same = group is not None and group.fingerprint == fingerprint_of(wish)
            return replay_charges.judge_order(None, known=group is not None, same=same, amount=None)
        attempts = contributions.attempts(tx, wish.group_id)
    if group is None:
        return replay_charges.judge_order(
            f"group {wish.group_id} is unknown here", known=False, same=False, amount=None
        )
    if isinstance(wish, GroupCancelled):
        return replay_charges.judge_order(None, known=not _may_be_called_off(group.state), same=True, amount=None)
    if any(contribution_payment.idempotency_key == wish.idempotency_key for contribution_payment in attempts):
        return replay_charges.judge_order(None, known=True, same=True, amount=None)
    if group.state is not GroupState.OPEN or group.is_over:
        said = f"the group is {group.state.value}; no share is taken any more"
        return replay_charges.judge_order(said, known=False, same=False, amount=None)
    return replay_charges.judge_order(None, known=False, same=False, amount=Money(group.amount_minor, group.currency))


def _may_be_called_off(state: GroupState) -> bool:
    return state in {GroupState.OPEN, GroupState.COMPLETE}
