"""The operator log: its entries, and whether its hash chain is intact."""

import orjson

from db.operators import log as operator_log
from outbox.ops import chain_heads
from outbox.ops.output import facts, out, plain, print_json, record, table
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles


@troubles()
def show_log(*, limit: int, as_json: bool) -> None:
    """Print the newest entries of the operator log, the newest first."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        entries = operator_log.latest(tx, limit=limit)
    if as_json:
        print_json({"entries": [record(entry) for entry in entries]})
        return
    shown = table("seq", "when", "operator", "action", "subject", "reason", right=("seq",))
    for entry in entries:
        subject = ", ".join(f"{name} {_flat(value)}" for name, value in entry.subject.items())
        when = _moment(entry.at)
        shown.add_row(str(entry.seq), when, plain(entry.operator), entry.action, plain(subject), plain(entry.reason))
    out().print(shown if entries else "The operator log is empty.")


@troubles()
def verify_log(expected: str | None = None, *, as_json: bool) -> None:
    """Exit code 1: the first broken entry is named, or the chain does not contain the expected entry."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        walked, broken = operator_log.first_broken_link(tx)
        head = operator_log.hash_at(tx, walked)
        noted = operator_log.hash_at(tx, chain_heads.seq(expected)) if expected else None
        is_other = expected is not None and not chain_heads.is_in_chain(noted, expected)
    if as_json:
        print_json({"entries": walked, "first_broken_link": broken, "head": head})
    elif broken is None and not is_other:
        out().print(f"The hash chain is intact: {walked} entries.", style="green")
        out().print(facts({"head": f"{walked}:{head or ''}"}), soft_wrap=True)
    if broken is not None:
        raise LeaveError(
            REFUSED, f"The hash chain is broken at entry {broken}: this entry or an earlier one was changed or removed."
        )
    if is_other:
        raise LeaveError(
            REFUSED, f"The hash chain is intact but does not contain the expected entry {expected}: it was replaced."
        )


def _flat(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _moment(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
