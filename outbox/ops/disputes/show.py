"""Dispute commands. Submitting evidence and accepting a loss ask for confirmation; a worker sends them to Stripe."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from db.disputes import booking as dispute_booking
from db.disputes import disputes, fraud_warnings
from db.disputes import views as dispute_views
from db.disputes.booking import BookedDisputeMovement
from db.disputes.disputes import Dispute
from db.disputes.fraud_warnings import EarlyWarning
from db.disputes.views import DisputeLine, DisputeStateChange
from db.session import Tx
from messages.ids import DisputeId
from outbox.ops import output
from outbox.ops.dead_letters import tables
from outbox.ops.output import facts, out, plain, print_json, record, said, table
from outbox.ops.prompts import CommandOptions, confirm, print_result, why
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles
from outbox.requests import dispute_evidence
from outbox.requests.operators.disputes import accept_loss, draft_evidence, submit_evidence

# A deadline nearer than this is shown in red.
NEAR_SECONDS = 72 * 3_600


@dataclass(frozen=True, slots=True)
class EvidenceChanges:
    """Changes to the evidence: FIELD=TEXT, FIELD=FILE, or collecting all of it again."""

    texts: tuple[str, ...]
    files: tuple[str, ...]
    rebuild: bool

    @property
    def is_empty(self) -> bool:
        return not (self.texts or self.files or self.rebuild)

    def fields(self) -> dict[str, str]:
        """Field -> text, files read; a file wins over a text for the same field. "-" reads standard input.

        Raises:
            typer.BadParameter: not FIELD=..., or the file cannot be read (exit code 2).
        """
        return dict(_pair(text, "--set") for text in self.texts) | {
            name: _read(source) for name, source in (_pair(text, "--file") for text in self.files)
        }


@troubles()
def list_disputes(selection: str, *, limit: int, as_json: bool) -> None:
    """Print disputes, the nearest deadline first."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        found = dispute_views.find(tx, selection=selection, limit=limit)
    if as_json:
        print_json({"disputes": [record(line) for line in found]})
        return
    if found:
        out().print(_lines(found))
    said().print(f"{len(found)} disputes." if found else "No disputes match.", style="dim")


def _lines(found: Sequence[DisputeLine]) -> Table:
    shown = table("dispute", "respond within", "status", "reason", "amount", "venue", "payment", right=("amount",))
    shown.columns[0].no_wrap = True
    for line in found:
        due = countdown(line.evidence_due_at) if line.is_waiting else Text("-")
        under_way = line.wish is not None and line.submitted_at is None
        status = plain(f"{line.wish} in progress" if under_way else line.status.replace("_", " "))
        amount = output.money(line.amount_minor, line.currency)
        venue = plain(f"{line.venue}, {line.tenant}")
        shown.add_row(line.dispute_id, due, status, _words(line.reason), amount, venue, str(line.payment_id))
    return shown


def countdown(due_at: datetime | None) -> Text:
    """The time left to respond."""
    if due_at is None:
        return Text("-")
    left = (due_at - datetime.now(UTC)).total_seconds()
    if left <= 0:
        return Text("overdue", "bold red")
    amount = f"{left / 86_400:.0f} days" if left >= 2 * 86_400 else f"{left / 3_600:.0f} h"
    return Text(amount, "bold red" if left < NEAR_SECONDS else "yellow")


@troubles()
def show_dispute(dispute_id: DisputeId, *, as_json: bool) -> None:
    """Print one dispute with its movements of money and its history.

    Raises:
        LeaveError: not found (exit code 1).
    """
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        dispute = _known(tx, dispute_id)
        moves, money = dispute_views.history(tx, dispute_id), dispute_booking.movements(tx, dispute_id)
    if as_json:
        parts = {"history": [record(move) for move in moves], "movements": [record(moved) for moved in money]}
        print_json(record(dispute) | parts)
        return
    title = Text(f"Dispute {dispute.dispute_id}  ", "bold").append(_words(dispute.status.value))
    out().print(title.append("  ").append(str(dispute.amount)))
    out().print(facts(_heading(dispute)))
    if money:
        out().print(_money(money))
    out().print(_history(moves))
    if dispute.is_answerable and dispute.wish is None:
        steps = f"fleet dispute evidence {dispute_id}, then submit or accept"
        said().print(f"\nNext:  {steps}", style="dim")


def _heading(dispute: Dispute) -> dict[str, object]:
    wish = (
        f"{dispute.wish_by} decided to {dispute.wish} it; a worker is sending that to Stripe" if dispute.wish else None
    )
    return {
        "track": dispute.track,
        "reason": _words(dispute.reason),
        "respond within": countdown(dispute.evidence_due_at) if dispute.is_answerable else None,
        "due": dispute.evidence_due_at if dispute.is_answerable else None,
        "decided": wish if dispute.is_answerable else None,
        "rejected by Stripe": plain(dispute.wish_refused, "red") if dispute.wish_refused else None,
        "submitted": dispute.submitted_at,
        "loss": _loss(dispute),
        "payment": dispute.payment_id,
        "charge": dispute.charge_id,
        "opened": dispute.opened_at,
    }


def _loss(dispute: Dispute) -> str | None:
    if dispute.lost_minor is None:
        return None
    platform = output.money(dispute.lost_platform_fee_minor, dispute.currency)
    reversed_ = ", reversed because the dispute was won" if dispute.loss_reversed else ""
    return f"{output.money(dispute.lost_minor, dispute.currency)}, {platform} of it platform fee{reversed_}"


def _money(moved: Sequence[BookedDisputeMovement]) -> Table:
    shown = table("balance transaction", "category", "amount", "fee", right=("amount", "fee"))
    for each in moved:
        amounts = (
            output.money(each.amount_minor, each.currency),
            output.money(each.fee_minor, each.balance_currency),
        )
        shown.add_row(each.balance_transaction_id, _words(each.category), *amounts)
    return shown


def _history(moves: Sequence[DisputeStateChange]) -> Table:
    shown = table("when (UTC)", "status", "source")
    for move in moves:
        shown.add_row(f"{move.at:%Y-%m-%d %H:%M:%S}", _words(move.to_status), plain(move.by))
    return shown


@troubles()
def show_evidence(
    dispute_id: DisputeId, changes: EvidenceChanges, operator: str | None, reason: str | None, *, as_json: bool
) -> None:
    """The evidence as it would be submitted, after applying the changes."""
    with operator_session(operator) as at:
        if not changes.is_empty:
            with at.transaction() as acting:
                draft_evidence(acting, dispute_id, changes.fields(), rebuild=changes.rebuild, reason=reason or "")
        with at.db.ops_transaction() as tx:
            dispute = _known(tx, dispute_id)
            missing = dispute_evidence.draft(tx, dispute).gaps if dispute.is_answerable else ()
    if as_json:
        print_json({"dispute_id": dispute_id, "evidence": dispute.evidence, "gaps": list(missing)})
        return
    for name, text in dispute.evidence.items():
        out().print(Text(name, "bold"))
        out().print(plain(text), soft_wrap=True)
        out().print()
    if not dispute.evidence:
        out().print("There is no evidence yet.")
    for gap in missing:
        said().print(Text("Missing: ", "yellow").append(plain(gap)))


@troubles()
def submit(dispute_id: DisputeId, options: CommandOptions) -> None:
    """Confirm, then have a worker submit the evidence: Stripe accepts it once."""
    reason = why(options)
    with operator_session(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            dispute = _known(tx, dispute_id)
        fields = ", ".join(dispute.evidence) or "nothing"
        confirm(
            f"Submit {fields} for {dispute_id}? Evidence can be submitted only once.", "Nothing was submitted.", options
        )
        with operator.transaction() as acting:
            submit_evidence(acting, dispute_id, reason=reason)
    print_result(
        _decided(dispute_id, "submit"),
        f"A worker is submitting it. Follow it: fleet dispute show {dispute_id}",
        options,
    )


@troubles()
def accept(dispute_id: DisputeId, options: CommandOptions) -> None:
    """Confirm, then have a worker accept the dispute: the loss is final."""
    reason = why(options)
    with operator_session(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            dispute = _known(tx, dispute_id)
        question = f"Accept {dispute_id} and lose {dispute.amount}? This is final."
        confirm(question, "Nothing was accepted.", options)
        with operator.transaction() as acting:
            accept_loss(acting, dispute_id, reason=reason)
    print_result(
        _decided(dispute_id, "accept"), f"A worker is accepting it. Follow it: fleet dispute show {dispute_id}", options
    )


@troubles()
def list_warnings(*, limit: int, as_json: bool) -> None:
    """Print early fraud warnings, and what was decided about each."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        early_warnings = fraud_warnings.latest(tx, limit=limit)
    if as_json:
        print_json({"warnings": [record(warning) for warning in early_warnings]})
        return
    if early_warnings:
        out().print(_warnings(early_warnings))
    said().print(f"{len(early_warnings)} warnings." if early_warnings else "No early fraud warnings.", style="dim")


def _warnings(early_warnings: Sequence[EarlyWarning]) -> Table:
    shown = table("warning", "age", "kind", "decision", "reason", "payment", right=("age",))
    for warning in early_warnings:
        what = (_words(warning.fraud_type), _words(warning.decision), plain(warning.because))
        shown.add_row(warning.warning_id, tables.age(warning.warned_at), *what, str(warning.payment_id))
    return shown


def _known(tx: Tx, dispute_id: DisputeId) -> Dispute:
    dispute = disputes.get(tx, dispute_id)
    if dispute is None:
        raise LeaveError(REFUSED, f"Dispute {dispute_id} not found.")
    return dispute


def _decided(dispute_id: DisputeId, wish: str) -> dict[str, Any]:
    return {"dispute_id": dispute_id, "wish": wish}


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, rest = text.partition("=")
    if not (name and separator):
        raise typer.BadParameter(f"{text!r} is not FIELD=...", param_hint=option)
    return name, rest


def _read(source: str) -> str:
    try:
        return sys.stdin.read() if source == "-" else Path(source).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{source} cannot be read: {error}", param_hint="--file") from None


def _words(name: str) -> Text:
    return plain(name.replace("_", " "))
