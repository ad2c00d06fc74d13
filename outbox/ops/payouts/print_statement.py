"""`fleet statements print`: writes a recipient's statement as CSV with every line, or as PDF to be read."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from uuid import UUID

from db.payouts import statement_lines
from outbox.ops.output import said
from outbox.ops.payouts.statements import AccountStatement, write_csv
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles

# A report over the whole ledger may take longer than anything on the hot path.
REPORT_SECONDS = 600


@troubles()
def print_statement(recipient_id: UUID, first: date, last: date, *, form: str, output: Path) -> None:
    """Write a recipient's statement, from the first to the last day in UTC, both included, as "csv" or "pdf".

    Raises:
        LeaveError: the days are in the wrong order, or there is no such recipient (exit code 1).
    """
    if last < first:
        raise LeaveError(REFUSED, f"The last day, {last}, is before the first, {first}.")
    with operator_session() as operator, operator.db.ops_transaction(statement_seconds=REPORT_SECONDS) as tx:
        holder = statement_lines.holder(tx, recipient_id)
        if holder is None:
            raise LeaveError(REFUSED, f"There is no recipient {recipient_id}.")
        accounts = statement_lines.accounts(tx, holder, since=_begin(first), until=_begin(last + timedelta(days=1)))
    statement = AccountStatement(holder, first, last, accounts)
    if form == "pdf":
        from outbox.ops.payouts.statement_pdf import as_pdf  # noqa: PLC0415  fonts and images are slow to load

        output.write_bytes(as_pdf(statement))
    else:
        with output.open("w", encoding="utf-8", newline="") as file:
            write_csv(statement, file)
    said().print(f"The statement of {holder.name} is in {output}.")


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
