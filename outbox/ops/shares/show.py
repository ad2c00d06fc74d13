"""Read-only commands about shares: escrow, the split of a payment, recipients, royalties."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from rich.console import Group
from rich.table import Table
from rich.text import Text
from rich.tree import Tree as Branches

from db.operators import requests, timeline
from db.operators.requests import OperatorRequest
from db.payouts import statements
from db.shares import escrow
from db.shares import views as share_views
from db.shares.escrow import EscrowLine
from db.shares.views import RecipientLine, ShareLine, ShareTransfer
from messages.ids import RecipientId
from outbox.ops import approvals, output
from outbox.ops.dead_letters import explanations
from outbox.ops.labels import label
from outbox.ops.output import facts, out, plain, print_json, record, said, table
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles
from outbox.ops.shares.tree import ShareTree, tree_of
from outbox.requests.operators.shares import KINDS


@troubles()
def list_held(kept_by: str, *, limit: int, as_json: bool) -> None:
    """Print payments in escrow, oldest first, then pending requests."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        escrows = escrow.find(tx, kept_by=None if kept_by == "all" else kept_by, limit=limit)
        waiting = requests.waiting(tx, limit=limit, kinds=KINDS)
    if as_json:
        print_json(
            {
                "held": [record(one) for one in escrows],
                "wishes": [approvals.document(request) for request in waiting],
            }
        )
        return
    if escrows:
        out().print(_held(escrows))
    said().print(f"{len(escrows)} payments in escrow." if escrows else "Escrow is empty.", style="dim")
    for request in waiting:
        said().print(_request(request))


def _held(escrows: Sequence[EscrowLine]) -> Table:
    shown = table("payment", "venue", "held", "since", "reason", "until (UTC)", "held by", right=("held", "since"))
    shown.columns[0].no_wrap = True
    for one in escrows:
        shown.add_row(
            str(one.payment_id),
            plain(one.venue),
            output.money(one.held_minor, one.currency),
            _age(one.frozen_at),
            output.state(one.kept_by or "free"),
            f"{one.free_at:%Y-%m-%d %H:%M}" if one.free_at else "-",
            plain(f"{one.held_by}: {one.held_because}" if one.held_by else ""),
        )
    return shown


def _request(request: OperatorRequest) -> Text:
    much = output.money(request.amount_minor, request.currency)
    then = (
        f"a second operator approves it with: fleet escrow approve {request.request_id}"
        if request.state == "awaiting_approval"
        else "a worker is processing it"
    )
    return plain(f"{request.created_by} requested: {request.kind} {much} of payment {request.payment_id}; {then}")


@troubles()
def show_tree(name: str, *, as_json: bool) -> None:
    """By any id that `fleet payment show` accepts."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        payments = timeline.find(tx, name)
        tree = tree_of(tx, payments[0].payment_id) if len(payments) == 1 else None
        waiting = requests.waiting(tx, limit=10, kinds=KINDS, payment_id=payments[0].payment_id) if tree else []
    if not payments:
        raise LeaveError(REFUSED, f"Payment {name} not found.")
    if tree is None:
        raise LeaveError(
            REFUSED,
            f"Payment {payments[0].payment_id} has no shares: it has not succeeded, or predates the split of payments.",
        )
    if as_json:
        print_json(document(tree) | {"wishes": [approvals.document(request) for request in waiting]})
        return
    out().print(Group(_branches(tree), "", _tickets(tree)) if tree.tickets else _branches(tree))
    for request in waiting:
        said().print(_request(request))


def document(tree: ShareTree) -> dict[str, object]:
    """The tree as JSON: shares with their movements, tickets with their part of each share."""
    return {
        "escrow": record(tree.held),
        "shares": [
            record(share)
            | {"reached_minor": share.reached_minor, "left_minor": share.left_minor}
            | {"movements": [record(share_transfer, "share_id") for share_transfer in tree.movements[share.share_id]]}
            for share in tree.shares
        ],
        "tickets": [
            record(leaf.ticket)
            | {
                "parts": [
                    {"share_id": str(share.share_id), "amount_minor": minor}
                    for share, minor in zip(tree.shares, leaf.parts_minor, strict=True)
                ]
            }
            for leaf in tree.tickets
        ],
    }


def _branches(tree: ShareTree) -> Branches:
    whole = sum(share.amount_minor for share in tree.shares)
    held = tree.held
    root = Text("Shares of ", "bold").append(output.money(whole, held.currency)).append(f"  {held.venue}", "dim")
    shown = Branches(root)
    if held.released_at is None and held.held_minor:
        shown.add(plain(f"in escrow: {_why_held(held)}", "yellow"))
    elif held.released_at is not None:
        shown.add(
            plain(f"released {held.released_at:%Y-%m-%d %H:%M} UTC by {held.released_by}: {held.release_reason}", "dim")
        )
    for share in tree.shares:
        branch = shown.add(_share(share))
        for share_transfer in tree.movements[share.share_id]:
            branch.add(_movement(share_transfer))
    return shown


def _why_held(held: EscrowLine) -> str:
    if held.held_by is not None:
        return f"held by {held.held_by}, {held.held_because}"
    until = f", until {held.free_at:%Y-%m-%d %H:%M} UTC" if held.free_at and held.kept_by == "event" else ""
    return f"{label(held.kept_by) or 'no reason'}{until}"


def _share(share: ShareLine) -> Text:
    points = f" {share.basis_points / 100:g} %" if share.basis_points is not None else ""
    line = Text(output.money(share.amount_minor, share.currency), "bold")
    line.append(f"  {share.basis}{points}  ").append(plain(share.recipient)).append("  ").append(
        output.state(share.state)
    )
    if taken := share.returned_minor + share.borne_minor:
        line.append(f"  clawed back {output.money(taken, share.currency)}", "dim")
    if share.waits_for:
        line.append(f"  waiting for {label(share.waits_for)}", "yellow")
    return line


def _movement(share_transfer: ShareTransfer) -> Text:
    line = plain(f"{share_transfer.what} {output.money(share_transfer.amount_minor, share_transfer.currency)} ").append(
        output.state(share_transfer.state)
    )
    return line.append(
        plain(
            f"  {share_transfer.stripe_id or ''} {share_transfer.state_reason or ''} "
            f"{share_transfer.at:%Y-%m-%d %H:%M}".rstrip(),
            "dim",
        )
    )


def _tickets(tree: ShareTree) -> Table:
    names = [f"{share.recipient} ({share.basis})" for share in tree.shares]
    shown = table("ticket", "seat", "price", *names, right=("price", *names))
    for leaf in tree.tickets:
        parts = [output.money(minor, tree.held.currency) for minor in leaf.parts_minor]
        price = output.money(leaf.ticket.price_minor, tree.held.currency)
        shown.add_row(str(leaf.ticket.ticket_id), plain(leaf.ticket.seat or "-"), price, *parts)
    return shown


@troubles()
def list_recipients(tenant_id: UUID | None, *, limit: int, as_json: bool) -> None:
    """Print recipients with their balances, one row for each currency."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        recipients = share_views.recipients(tx, tenant_id=tenant_id, limit=limit)
    if as_json:
        print_json({"recipients": [_recipient_record(recipient) for recipient in recipients]})
        return
    out().print(_recipients(recipients) if recipients else "No recipients.")


def _recipients(recipients: Sequence[RecipientLine]) -> Table:
    amounts = ("in escrow", "pending", "available", "owes")
    shown = table("recipient", "name", "kind", "account", *amounts, "waiting", right=(*amounts, "waiting"))
    shown.columns[0].no_wrap = True
    for recipient in recipients:
        minors = (
            recipient.escrow_minor,
            recipient.pending_minor,
            recipient.available_minor,
            recipient.receivable_minor,
        )
        account = f"{recipient.account_id} ({recipient.transfers})" if recipient.account_id else "none yet"
        moneys = [output.money(minor, recipient.currency) for minor in minors]
        shown.add_row(
            str(recipient.recipient_id),
            plain(recipient.name),
            recipient.kind,
            plain(account),
            *moneys,
            str(recipient.waiting),
        )
    return shown


def _recipient_record(recipient: RecipientLine) -> dict[str, object]:
    return record(recipient) | {"available_minor": recipient.available_minor}


@troubles()
def show_recipient(recipient_id: UUID, *, limit: int, as_json: bool) -> None:
    """Print one recipient: balances and unpaid shares."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        recipients = share_views.recipients(tx, recipient_id=recipient_id, limit=limit)
        waiting = share_views.waiting(tx, recipient_id=recipient_id, limit=limit)
        weekly = statements.of_recipient(tx, RecipientId(recipient_id), limit=limit)
    if not recipients:
        raise LeaveError(REFUSED, f"Recipient {recipient_id} not found.")
    if as_json:
        print_json(
            {"balances": [_recipient_record(recipient) for recipient in recipients]}
            | {"waiting": [record(one) for one in waiting], "statements": [record(statement) for statement in weekly]}
        )
        return
    first = recipients[0]
    out().print(Text(first.name, "bold"))
    out().print(facts({
        "kind": first.kind,
        "account": f"{first.account_id}, transfers {first.transfers}" if first.account_id else "none yet",
        "settlement": first.settlement,
        "minimum": output.money(first.minimum_minor, first.currency) if first.minimum_minor else None,
    }))  # fmt: skip
    out().print(_recipients(recipients))
    shown = table("payment", "share", "released", "waiting for", right=("share", "released"))
    for share in waiting:
        much = output.money(share.left_minor - share.reached_minor, share.currency)
        why = label(share.waits_for or "transfer")
        shown.add_row(str(share.payment_id), much, _age(share.state_since), plain(why))
    out().print(shown if waiting else "No shares are waiting.")


@troubles()
def show_royalties(venue_id: UUID | None, *, limit: int, as_json: bool) -> None:
    """Print royalty rules, past and future ones included."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        royalties = share_views.royalties(tx, venue_id=venue_id, limit=limit)
    if as_json:
        print_json({"royalties": [record(royalty) for royalty in royalties]})
        return
    shown = table(
        "venue",
        "event",
        "sale",
        "recipient",
        "part of the sale",
        "from (UTC)",
        "until",
        "",
        right=("part of the sale",),
    )
    for royalty in royalties:
        points = f"{royalty.basis_points / 100:g} %"
        event = str(royalty.event_id) if royalty.event_id else "all other events"
        period = (
            royalty.valid_from,
            royalty.valid_until,
            Text(royalty.holds, "green" if royalty.holds == "now" else "dim"),
        )
        shown.add_row(plain(royalty.venue), event, royalty.sale, plain(royalty.recipient), points, *period)
    out().print(shown if royalties else "No royalties are configured.")


def _age(at: datetime) -> str:
    return explanations.age(at, datetime.now(UTC))
