"""Group payment commands: list, show and cancel.

Cancelling is one transaction: the message for the worker, and the entry in the operator log. A settled group cannot be
cancelled: its contributions are captured payments, and refunding those needs the approval that refunds need.
"""

from collections.abc import Sequence
from uuid import UUID

from db.groups import contributions
from db.groups import views as group_views
from db.groups.contributions import Contribution, ContributionPayment
from db.groups.states import GroupState
from db.groups.views import GroupLine, GroupStateChange
from db.session import Tx
from messages.runtime.redaction import redact_text
from outbox.ops import output
from outbox.ops.output import facts, out, plain, print_json, record, said, table
from outbox.ops.prompts import CommandOptions, confirm, print_result, why
from outbox.ops.session import operator_session, troubles
from outbox.requests.operators.groups import cancel_group as request_cancellation
from outbox.requests.operators.groups import cancellable_group
from outbox.requests.refusals import RefusedError


@troubles()
def list_groups(state: str | None, *, limit: int, as_json: bool) -> None:
    """Print groups, the last changed first; None means any state."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        groups = group_views.latest(tx, state=GroupState(state) if state else None, limit=limit)
    if as_json:
        print_json({"groups": [record(group) for group in groups]})
        return
    shown = table(
        "group", "state", "paid", "secured", "of", "deadline (UTC)", "reason", right=("paid", "secured", "of")
    )
    shown.columns[0].no_wrap = True
    for group in groups:
        money = [output.money(minor, group.currency) for minor in (group.secured_minor, group.amount_minor)]
        paid = f"{group.secured} of {group.members}"
        due = f"{group.deadline:%Y-%m-%d %H:%M}"
        shown.add_row(
            str(group.group_id), output.state(group.state), paid, *money, due, plain(group.state_reason or "")
        )
    out().print(shown if groups else "No groups match.")


@troubles()
def show_group(group_id: UUID, *, as_json: bool) -> None:
    """Print one group with members, payments and history; fingerprints and idempotency keys are left out."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        group = _one(tx, group_id)
        shares, attempts = contributions.of_group(tx, group_id), contributions.attempts(tx, group_id)
        moves = group_views.moves(tx, group)
    if as_json:
        hidden = {"fingerprint", "idempotency_key"}
        tried = [
            {name: value for name, value in record(contribution_payment).items() if name not in hidden}
            for contribution_payment in attempts
        ]
        document = {"members": [record(contribution) for contribution in shares], "payments": tried}
        print_json(record(group) | document | {"history": [record(group_state_change) for group_state_change in moves]})
    else:
        _print_group(group, shares, attempts, moves)


def _print_group(
    group: GroupLine,
    shares: Sequence[Contribution],
    attempts: Sequence[ContributionPayment],
    moves: Sequence[GroupStateChange],
) -> None:
    out().print(facts({
        "group": group.group_id,
        "state": f"{group.state}" + (f", {group.state_reason}" if group.state_reason else ""),
        "amount": output.money(group.amount_minor, group.currency),
        "secured": f"{output.money(group.secured_minor, group.currency)}, {group.secured} of {group.members} members",
        "deadline": f"{group.deadline:%Y-%m-%d %H:%M:%S} UTC",
        "venue": f"{group.venue}, {group.tenant}",
        "event": group.event_id,
    }))  # fmt: skip
    members = table("buyer", "contribution", "state", "reason", "payment", right=("contribution",))
    for share in shares:
        much = output.money(share.share_minor, group.currency)
        name = str(share.payment_id or "")
        members.add_row(plain(share.buyer_id), much, output.state(share.state), plain(share.state_reason or ""), name)
    out().print(members)
    tried = table("attempt", "kind", "amount", "state", "payment", right=("amount",))
    for contribution_payment in attempts:
        much = output.money(contribution_payment.amount_minor, group.currency)
        kind = contribution_payment.kind.replace("_", " ")
        tried.add_row(
            str(contribution_payment.attempt),
            kind,
            much,
            output.state(contribution_payment.payment_state),
            str(contribution_payment.payment_id),
        )
    if attempts:
        out().print(tried)
    shown = table("when (UTC)", "member", "state change", "reason", "by")
    for move in moves:
        moved = f"{move.from_state} -> {move.to_state}" if move.from_state else move.to_state
        who = plain(move.buyer_id or "the group")
        shown.add_row(f"{move.at:%Y-%m-%d %H:%M:%S}", who, moved, plain(move.reason or ""), plain(move.by))
    out().print(shown)
    if group.state in {"open", "complete"}:
        said().print(f"\nCancel it:  fleet groups cancel {group.group_id} --reason WHY", style="dim")


@troubles()
def cancel_group(group_id: UUID, options: CommandOptions) -> None:
    """Confirm with the secured amount, then have a worker cancel the group."""
    reason = redact_text(why(options))
    with operator_session(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            group = cancellable_group(tx, group_id)
        much = output.money(group.secured_minor, group.currency)
        confirm(f"Cancel this group of {group.members} members, {much} secured?", "Not cancelled.", options)
        with operator.transaction() as acting:
            request_cancellation(acting, group_id, reason=reason)
    print_result({"group_id": group_id}, f"Requested. Follow it: fleet groups show {group_id}", options)


def _one(tx: Tx, group_id: UUID) -> GroupLine:
    groups = group_views.by_id(tx, group_id)
    if len(groups) != 1:
        raise RefusedError(
            f"group {group_id} not found" if not groups else f"several tenants use the group id {group_id}"
        )
    return groups[0]
