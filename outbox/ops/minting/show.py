"""`fleet mint`: list and show mints, and retry a failed one.

Ops commands hold no signing key: a retry is a message to a worker.
"""

from datetime import UTC, datetime
from uuid import UUID

from rich.table import Table
from rich.text import Text

from db.minting import mints, signers
from db.minting import views as mint_views
from db.minting.states import MintState
from db.minting.views import MintLine, MintStateChange, SentLine
from outbox.ops import output
from outbox.ops.dead_letters import tables
from outbox.ops.output import facts, out, plain, print_json, record, said, table
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles
from outbox.requests.operators.mints import retry_mint as request_retry

MOVING = ["queued", "submitted", "mined", "voiding"]
STATES = ("moving", *(state.value for state in MintState), "all")
GWEI = 10**9


@troubles()
def list_mints(state: str, tenant_id: UUID | None, payment_id: UUID | None, *, limit: int, as_json: bool) -> None:
    """Print mints, the last changed first; "moving" are those that are not finished. Why signers wait is on standard
    error.
    """
    states = None if state == "all" else MOVING if state == "moving" else [state]
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        found = mint_views.find(tx, states=states, tenant_id=tenant_id, payment_id=payment_id, limit=limit)
        counts, waits = mints.counts(tx), signers.waits(tx)
    if as_json:
        print_json({"counts": counts, "waits": waits, "mints": [record(line) for line in found]})
        return
    if found:
        out().print(_lines(found))
    said().print(", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "No mints yet.")
    for signer, reason in waits.items():
        said().print(
            plain(f"Minting has stopped{'' if signer == '-' else f' for signer {signer}'}: {reason}", "yellow")
        )


def _lines(found: list[MintLine]) -> Table:
    shown = table("ticket", "age", "state", "wallet", "reason", right=("age",))
    shown.columns[0].no_wrap = True
    for line in found:
        age = tables.age(line.state_since)
        shown.add_row(str(line.ticket_id), age, output.state(line.state), line.to_address or "-", plain(line.why or ""))
    return shown


@troubles()
def show_mint(ticket_id: UUID, *, as_json: bool) -> None:
    """Print one ticket's mint with its transactions and history.

    Raises:
        LeaveError: none was requested, or several tenants use the ticket id (exit code 1).
    """
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        line = _only(mint_views.of_ticket(tx, ticket_id), ticket_id)
        moves, sent = mint_views.history(tx, line), mint_views.transactions(tx, line)
    if as_json:
        document = {"history": [record(move) for move in moves], "transactions": [record(each) for each in sent]}
        print_json(record(line) | document)
        return
    console = out()
    console.print(Text("Ticket ", style="bold").append(str(ticket_id)).append("  ").append(output.state(line.state)))
    console.print()
    console.print(facts(_heading(line)))
    if sent:
        console.print()
        console.print(_transactions(sent))
    console.print()
    console.print(_history(moves))


def _heading(line: MintLine) -> dict[str, object]:
    return {
        "token": line.token_id,
        "wallet": line.to_address,
        "reason": line.why,
        "failed attempts": line.tries or None,
        "void requested": "yes, the ticket was refunded" if line.void_wanted and line.state != "voided" else None,
        "payment": line.payment_id,
        "order": line.order_id,
        "event": line.event_id,
    }


def _transactions(sent: list[SentLine]) -> Table:
    shown = table(
        "transaction", "kind", "nonce", "state", "versions", "gwei", "block", right=("nonce", "gwei", "block")
    )
    for each in sent:
        fee, block = f"{each.max_fee_wei / GWEI:g}", str(each.block_number or "-")
        state = output.state(each.state)
        shown.add_row(each.tx_hash, each.kind, str(each.nonce), state, str(each.versions), fee, block)
    return shown


def _history(moves: list[MintStateChange]) -> Table:
    shown = table("when (UTC)", "new state", "by", "reason")
    for move in moves:
        when = f"{move.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        shown.add_row(when, output.state(move.to_state), plain(move.by), plain(move.reason or ""))
    return shown


@troubles()
def retry_mint(ticket_id: UUID, operator: str | None, reason: str | None, *, as_json: bool) -> None:
    """Queue a failed mint again; the message for the worker and the log entry are one transaction."""
    if not (reason or "").strip():
        raise LeaveError(2, "A reason is required: --reason WHY.")
    with operator_session(operator) as at, at.transaction() as acting:
        mint = _only(mint_views.of_ticket(acting.tx, ticket_id), ticket_id)
        request_retry(acting, mint, reason=str(reason))
    if as_json:
        print_json({"ticket_id": ticket_id, "asked_at": datetime.now(UTC).isoformat()})
    else:
        said().print(f"Retry requested for ticket {ticket_id}. Follow it: fleet mint show {ticket_id}")


def _only(found: list[MintLine], ticket_id: UUID) -> MintLine:
    if not found:
        raise LeaveError(REFUSED, f"No mint was requested for ticket {ticket_id}.")
    if len(found) > 1:
        raise LeaveError(REFUSED, f"{len(found)} tenants use the ticket id {ticket_id}; list them by tenant.")
    return found[0]
