"""Requests that every caller makes of a group: re-evaluate it, invite its members, end it. All in its transaction.

Each time one of its payments has moved, a message has the worker (workers/groups/group.py) evaluate the whole group. So
nothing here must be exact about what happened, and evaluating a group twice is harmless.
"""

from collections.abc import Iterable

from loguru import logger

from db.groups import contributions, groups
from db.groups.contributions import Contribution
from db.groups.groups import Group
from db.groups.states import SECURED, GroupState
from db.payments.payments import Payment
from db.session import Tx
from messages.groups import GroupDue, GroupExpired, GroupMemberInvited
from messages.money import Money
from outbox.append import append
from outbox.process.metrics import GROUPS


def wake_group(tx: Tx, payment: Payment) -> None:
    """The payment has moved; its group, when it has one, looks at it once this is committed."""
    if payment.group_id is not None:
        append(tx, GroupDue(tenant_id=payment.tenant_id, group_id=payment.group_id))


def invite(tx: Tx, group: Group, shares: Iterable[Contribution], *, again: str | None = None) -> None:
    """Have these members asked for their shares; `again` says why once more."""
    append(
        tx,
        *(
            GroupMemberInvited(
                tenant_id=group.tenant_id,
                group_id=group.group_id,
                member_id=share.member_id,
                buyer_id=share.buyer_id,
                share=Money(share.share_minor, group.currency),
                deadline=group.deadline,
                again=again,
            )
            for share in shares
        ),
    )


def end_group(tx: Tx, group: Group, state: GroupState, *, reason: str, by: str) -> None:
    """The locked group does not come together: say so, and have the worker release and refund what it holds."""
    shares = contributions.of_group(tx, group.group_id)
    groups.move(tx, group, state, reason=reason, by=by)
    append(
        tx,
        GroupExpired(
            tenant_id=group.tenant_id,
            group_id=group.group_id,
            because="deadline" if state is GroupState.EXPIRED else "cancelled",
            reason=reason,
            missing=tuple(share.member_id for share in shares if share.state not in SECURED),
        ),
        GroupDue(tenant_id=group.tenant_id, group_id=group.group_id),
    )
    GROUPS.labels(state.value).inc()
    logger.info("group became {}: {}", state.value, reason)


def call_off(tx: Tx, group: Group, *, reason: str, by: str) -> bool:
    """Cancel the locked group, also one that was settled: then everybody gets everything back. False when it ends, or
    has ended, already.
    """
    if group.state not in {GroupState.OPEN, GroupState.COMPLETE, GroupState.SETTLED}:
        return False
    end_group(tx, group, GroupState.CANCELED, reason=reason, by=by)
    return True
