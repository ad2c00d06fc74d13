"""Commands about payouts of connected accounts. Read-only, from the database: ops commands have no Stripe key."""

from collections.abc import Sequence
from uuid import UUID

from rich.table import Table
from rich.text import Text

from db.payouts import views as payout_views
from db.payouts.views import PayoutLine, PayoutRow, RecipientBalance
from outbox.ops import output
from outbox.ops.output import facts, out, plain, print_json, record, table
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles

# A report over the whole ledger may take longer than a query on the hot path.
REPORT_SECONDS = 600


@troubles()
def list_payouts(recipient_id: UUID | None, *, failed: bool, limit: int, as_json: bool) -> None:
    """Print payouts of connected accounts, newest first; `failed` limits them to those the bank returned."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        payouts = payout_views.payouts(tx, recipient_id=recipient_id, failed=failed, limit=limit)
    if as_json:
        print_json({"payouts": [record(row) | {"state": row.state} for row in payouts]})
        return
    out().print(_payouts(payouts) if payouts else "No payouts.")


def _payouts(payouts: Sequence[PayoutRow]) -> Table:
    shown = table("payout", "recipient", "created", "amount", "state", "contents", right=("amount",))
    for row in payouts:
        contents = "listed" if row.listed_at else "manual payout" if not row.automatic else "not listed yet"
        state = Text(row.state, "bold red" if row.came_back_at else "")
        shown.add_row(
            row.payout_id,
            plain(row.names or row.account_id),
            f"{row.created_at:%Y-%m-%d}",
            output.money(row.amount_minor, row.currency),
            state,
            contents,
        )
    return shown


@troubles()
def show_payout(payout_id: str, *, as_json: bool) -> None:
    """Print one payout and what it contained. Raises LeaveError when there is none (exit code 1)."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        row = payout_views.payout(tx, payout_id)
        contents = payout_views.contents(tx, payout_id) if row else []
    if row is None:
        raise LeaveError(REFUSED, f"Payout {payout_id} of a connected account not found.")
    if as_json:
        print_json(record(row) | {"state": row.state, "contents": [record(payout) for payout in contents]})
        return
    out().print(_facts(row))
    if not row.automatic:
        out().print("Stripe does not list the contents of a manual payout.")
    elif contents:
        out().print(_contents(contents))


def _facts(row: PayoutRow) -> Table:
    return facts(
        {
            "payout": row.payout_id,
            "account": row.account_id,
            "recipient": row.names,
            "amount": output.money(row.amount_minor, row.currency),
            "state": row.state,
            "failure code": row.failure_code,
            "created": row.created_at,
            "arrival date": row.arrives_at,
            "reported paid": row.paid_at,
            "reported failed": row.came_back_at,
        }
    )


def _contents(contents: Sequence[PayoutLine]) -> Table:
    shown = table("created by", "type", "on", "net", "order", "payment", right=("net",))
    for payout in contents:
        net = output.money(payout.net_minor, payout.currency)
        order, payment = payout.order_id or "", payout.payment_id or ""
        shown.add_row(
            payout.made_by or "the account", payout.type, f"{payout.created_at:%Y-%m-%d}", net, str(order), str(payment)
        )
    total = output.money(sum(payout.net_minor for payout in contents), contents[0].currency)
    shown.add_section()
    shown.add_row("sum", "", "", total, "", "")
    return shown


@troubles()
def show_balances(tenant_id: UUID | None, *, as_json: bool) -> None:
    """Print what recipients have in the ledger and at Stripe; "?" is a balance that was never read from Stripe."""
    with operator_session() as operator, operator.db.ops_transaction(statement_seconds=REPORT_SECONDS) as tx:
        recipient_balances = payout_views.balances(tx, tenant_id=tenant_id)
    if as_json:
        print_json({"balances": [record(row) for row in recipient_balances]})
        return
    out().print(_balances(recipient_balances) if recipient_balances else "No recipient has a balance.")


def _balances(recipient_balances: Sequence[RecipientBalance]) -> Table:
    amounts = ("payable", "in escrow", "owes us", "pending", "available")
    shown = table("recipient", "name", *amounts, "read from Stripe", right=amounts)
    for row in recipient_balances:
        minor = (row.payable_minor, row.escrow_minor, row.receivable_minor, row.pending_minor, row.available_minor)
        shown.add_row(
            str(row.recipient_id),
            plain(f"{row.name} ({row.kind})"),
            *("?" if one is None else output.money(one, row.currency) for one in minor),
            f"{row.seen_at:%Y-%m-%d %H:%M}" if row.seen_at else "no account" if row.account_id is None else "not yet",
        )
    return shown
