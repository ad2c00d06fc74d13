"""Reconciliation commands: ledger reports, the hash chain, cases, and webhook coverage."""

from collections.abc import Sequence
from uuid import UUID

from rich.table import Table
from rich.text import Text

from db.ledger import hash_chain
from db.ledger import reports as ledger_reports
from db.ledger.reports import AccountTotal, Receivable, VenueBalance
from db.reconciliation import case_views
from db.reconciliation import runs as reconciliation_runs
from db.reconciliation.cases import Case
from db.webhooks import event_coverage
from outbox.ops import chain_heads, output
from outbox.ops.dead_letters import tables
from outbox.ops.labels import label
from outbox.ops.output import facts, out, plain, print_json, record, said, table
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles
from outbox.requests.operators.cases import accept_case

# A report over the whole ledger may take longer than a query on the hot path.
REPORT_SECONDS = 600
# The sweep runs every few minutes; a cursor this old means that it is not running.
SWEEP_STUCK_SECONDS = 1_800


@troubles()
def show_trial_balance(tenant_id: UUID | None, *, as_json: bool) -> None:
    """Exit code 1 when the accounts of a currency do not sum to zero."""
    with operator_session() as operator, operator.db.ops_transaction(statement_seconds=REPORT_SECONDS) as tx:
        totals = ledger_reports.trial_balance(tx, tenant_id=tenant_id)
    off = ledger_reports.off_balance(totals)
    if as_json:
        print_json({"accounts": [record(total) for total in totals], "off_balance": off, "balanced": not off})
    else:
        out().print(_trial_balance(totals) if totals else "The ledger is empty.")
    if off:
        raise LeaveError(REFUSED, f"The trial balance is off: {', '.join(output.money(off[c], c) for c in off)}.")


def _trial_balance(totals: Sequence[AccountTotal]) -> Table:
    shown = table("account", "debit", "credit", "balance", right=("debit", "credit", "balance"))
    for currency in dict.fromkeys(total.currency for total in totals):
        mine = [total for total in totals if total.currency == currency]
        for total in mine:
            amounts = (total.debit_minor, total.credit_minor, total.balance_minor)
            shown.add_row(total.code.replace("_", " "), *(output.money(minor, currency) for minor in amounts))
        sums = [
            sum(getattr(total, name) for total in mine) for name in ("debit_minor", "credit_minor", "balance_minor")
        ]
        style = "bold red" if sums[2] else "bold green"
        shown.add_row(Text("sum", style), *(Text(output.money(minor, currency), style) for minor in sums))
        shown.add_section()
    return shown


@troubles()
def show_venues(tenant_id: UUID | None, *, as_json: bool) -> None:
    """Print what each venue is owed by the ledger, less what disputes withhold; a negative net is red."""
    with operator_session() as operator, operator.db.ops_transaction(statement_seconds=REPORT_SECONDS) as tx:
        venue_balances = ledger_reports.venue_balances(tx, tenant_id=tenant_id)
    if as_json:
        print_json({"venues": [record(venue) for venue in venue_balances]})
        return
    out().print(_venues(venue_balances) if venue_balances else "No venue has a balance.")


def _venues(venue_balances: Sequence[VenueBalance]) -> Table:
    shown = table("venue", "name", "payable", "disputed", "net", right=("payable", "disputed", "net"))
    for venue in venue_balances:
        amounts = [
            output.money(minor, venue.currency)
            for minor in (venue.payable_minor, venue.disputed_minor, venue.net_minor)
        ]
        net = Text(amounts[2], "red" if venue.net_minor < 0 else "")
        shown.add_row(str(venue.venue_id), plain(venue.name), *amounts[:2], net)
    return shown


@troubles()
def show_receivables(tenant_id: UUID | None, *, as_json: bool) -> None:
    """Print what is owed between us and others, by age of the debt."""
    with operator_session() as operator, operator.db.ops_transaction(statement_seconds=REPORT_SECONDS) as tx:
        receivables = ledger_reports.receivables(tx, tenant_id=tenant_id)
    if as_json:
        print_json({"receivables": [record(row) for row in receivables]})
        return
    out().print(_receivables(receivables) if receivables else "No receivables.")


def _receivables(receivables: Sequence[Receivable]) -> Table:
    ages = ("0-7 days", "8-30 days", "31-90 days", "older")
    shown = table("receivable", "tenant", "venue", "total", *ages, right=("total", *ages))
    for row in receivables:
        parts = (row.total_minor, row.to_7_days_minor, row.to_30_days_minor, row.to_90_days_minor, row.older_minor)
        amounts = [output.money(minor, row.currency) if minor else "-" for minor in parts]
        shown.add_row(_OPEN_ACCOUNTS[row.code], str(row.tenant_id), str(row.venue_id or "-"), *amounts)
    return shown


_OPEN_ACCOUNTS = {
    "refunds_payable": "failed refunds",
    "disputed_funds": "withheld by disputes",
    "venue_payable": "venues that owe us",
}


@troubles()
def verify_ledger(expected: str | None, *, as_json: bool) -> None:
    """Exit code 1: the first broken link is named, or the chain does not contain the expected link."""
    with operator_session() as operator, operator.db.ops_transaction(statement_seconds=REPORT_SECONDS) as tx:
        walked = hash_chain.walk(tx)
        waiting = hash_chain.unsealed(tx)
        noted = hash_chain.hash_at(tx, chain_heads.seq(expected)) if expected else None
        is_other = expected is not None and not chain_heads.is_in_chain(noted, expected)
    if as_json:
        print_json(record(walked) | {"unsealed": waiting})
    elif walked.broken is None and not is_other:
        out().print(f"The hash chain is intact: {walked.links} journals sealed, {waiting} not yet.", style="green")
        out().print(facts({"head": f"{walked.links}:{walked.head}"}), soft_wrap=True)
    if walked.broken is not None:
        broken = walked.broken
        raise LeaveError(
            REFUSED,
            f"The hash chain is broken at link {broken.seq}, journal {broken.journal_id} of tenant {broken.tenant_id}: "
            f"{broken.why}. The {walked.links} links before it are intact; {waiting} journals are not sealed.",
        )
    if is_other:
        raise LeaveError(
            REFUSED, f"The hash chain is intact but does not contain the expected link {expected}: it was replaced."
        )


@troubles()
def list_cases(
    state: str, type_: str | None, tenant_id: UUID | None, payment_id: UUID | None, *, limit: int, as_json: bool
) -> None:
    """Print reconciliation cases; `state` "all" means any."""
    wanted = None if state == "all" else state
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        cases = case_views.find(tx, state=wanted, type=type_, tenant_id=tenant_id, payment_id=payment_id, limit=limit)
    if as_json:
        print_json({"cases": [record(case) for case in cases]})
        return
    if cases:
        out().print(_cases(cases))
    said().print(f"{len(cases)} cases." if cases else "No cases match.", style="dim")


def _cases(cases: Sequence[Case]) -> Table:
    shown = table("case", "age", "state", "type", "subject", "amount", "mismatch", right=("age", "amount"))
    shown.columns[0].no_wrap = True
    for case in cases:
        amount = output.money(case.amount_minor, case.currency)
        row = (output.state(case.state), label(case.type), plain(case.subject), amount, plain(case.details))
        shown.add_row(str(case.case_id), tables.age(case.opened_at), *row)
    return shown


@troubles()
def show_case(case_id: UUID, *, as_json: bool) -> None:
    """Print one case with the suggested action.

    Raises:
        LeaveError: not found (exit code 1).
    """
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        case = case_views.get(tx, case_id)
    if case is None:
        raise LeaveError(REFUSED, f"Case {case_id} not found.")
    if as_json:
        print_json(record(case))
        return
    closed = f"{case.closed_at} by {case.closed_by}: {case.closed_because}" if case.closed_at else None
    out().print(Text(f"Case {case.case_id}  ", "bold").append(output.state(case.state)))
    out().print(facts({
        "type": label(case.type),
        "mismatch": plain(case.details, "bold"),
        "subject": case.subject,
        "amount": output.money(case.amount_minor, case.currency) if case.currency else None,
        "opened": case.opened_at,
        "last seen": f"{case.seen_at}, {case.times_seen} times",
        "suggested action": case.suggested_action if case.state == "open" else None,
        "automatic fix": _automatic_fix(case),
        "payment": case.payment_id,
        "tenant": case.tenant_id,
        "closed": closed,
    }))  # fmt: skip


def _automatic_fix(case: Case) -> str | None:
    if case.auto_fixed_at is not None:
        return f"payment re-fetched from Stripe at {case.auto_fixed_at}"
    return f"payment will be re-fetched from Stripe after {case.auto_fix_after}" if case.auto_fix_after else None


@troubles()
def close_case(case_id: UUID, operator: str | None, reason: str | None, *, as_json: bool) -> None:
    """Close a case without a correction; the same mismatch does not open another one."""
    with operator_session(operator) as at, at.transaction() as acting:
        case = accept_case(acting, case_id, reason=reason or "")
    if as_json:
        print_json(record(case))
        return
    out().print(
        plain(f"Closed: {case.type.replace('_', ' ')} {case.subject}. The same mismatch will not open another case.")
    )


@troubles()
def list_runs(*, limit: int, as_json: bool) -> None:
    """Print the latest comparisons with Stripe; a run in progress is shown with its phase."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        runs = reconciliation_runs.latest(tx, limit=limit)
    if as_json:
        print_json({"runs": [record(run) for run in runs]})
        return
    columns = ("lines", "mismatches", "opened", "closed")
    shown = table("started (UTC)", "span", "from", "until", *columns, "state", right=columns)
    for run in runs:
        window = (f"{run.window_from:%m-%d %H:%M}", f"{run.window_until:%m-%d %H:%M}")
        numbers = [str(n) for n in (run.lines, run.mismatches, run.cases_opened, run.cases_closed)]
        word = output.state(run.state if run.state != "running" else f"running_{run.phase}")
        shown.add_row(f"{run.started_at:%Y-%m-%d %H:%M:%S}", run.span, *window, *numbers, word)
    out().print(shown if runs else "No comparison has run yet.")


@troubles()
def show_coverage(*, hours: int, as_json: bool) -> None:
    """Exit code 1 when the sweep is stuck."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        coverages, sweep = event_coverage.coverage(tx, hours=hours), event_coverage.standing(tx)
    if as_json:
        print_json({"hours": [record(hour) for hour in coverages], "sweep": record(sweep) if sweep else None})
    elif coverages:
        columns = ("listed at Stripe", "by webhook", "by sweep only", "coverage")
        shown = table("hour (UTC)", *columns, right=columns)
        for hour in coverages:
            covered = f"{hour.by_webhook / hour.listed:.1%}" if hour.listed else "-"
            numbers = (str(hour.listed), str(hour.by_webhook), str(hour.only_by_sweep))
            shown.add_row(f"{hour.hour:%Y-%m-%d %H:%M}", *numbers, covered)
        out().print(shown)
    if sweep is None:
        said().print("The event sweep has never run.", style="dim")
    elif sweep.behind_seconds > SWEEP_STUCK_SECONDS:
        raise LeaveError(
            REFUSED,
            f"The event sweep is stuck at {sweep.swept_until:%Y-%m-%d %H:%M} UTC, {sweep.behind_seconds / 3600:.1f}"
            " h ago. Check that the scheduler and the workers are running.",
        )
    elif not as_json:
        said().print(f"Swept until {sweep.swept_until:%Y-%m-%d %H:%M:%S} UTC.", style="dim")
