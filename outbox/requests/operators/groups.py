"""Groups that an operator cancels. A worker carries it out, because an operator's process may not write money."""

from uuid import UUID

from db.groups import views as group_views
from db.groups.views import GroupLine
from db.session import Tx
from messages.groups import GroupCancelDue
from messages.ids import TenantId
from outbox.append import append
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError

LONGEST_REASON = 500


def cancellable_group(tx: Tx, group_id: UUID) -> GroupLine:
    """The group, if it can be cancelled: open or complete.

    A settled group's contributions are captured payments; refunding them needs the approval that refunds need.

    Raises:
        RefusedError: the group is unknown, known to several tenants, settled or ended.
    """
    groups = group_views.by_id(tx, group_id)
    if len(groups) != 1:
        raise RefusedError(
            f"group {group_id} not found" if not groups else f"several tenants use the group id {group_id}"
        )
    group = groups[0]
    if group.state == "settled":
        raise RefusedError("the group is settled; refund its payments with `fleet refunds create PAYMENT`")
    if group.state not in {"open", "complete"}:
        raise RefusedError(f"the group is already {group.state}")
    return group


def cancel_group(acting: OperatorTransaction, group_id: UUID, *, reason: str) -> None:
    """Have a worker cancel the group, which releases what is held. The reason is cut to LONGEST_REASON in the message.

    Raises:
        RefusedError: as `cancellable_group`, checked again in this transaction.
    """
    group = cancellable_group(acting.tx, group_id)
    tenant_id, by = TenantId(group.tenant_id), f"ops:{acting.operator}"
    append(acting.tx, GroupCancelDue(tenant_id=tenant_id, group_id=group_id, reason=reason[:LONGEST_REASON], by=by))
    subject = {"group_id": str(group_id), "state": group.state, "secured_minor": group.secured_minor}
    acting.log("cancel group", subject, reason)
