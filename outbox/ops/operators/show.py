"""The operator log: what operators did, and whether its chain of hashes holds."""

import orjson

from db.operators import log as operator_log
from outbox.ops import chain_heads
from outbox.ops.output import facts, out, plain, print_json, record, table
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles


@troubles()
def show_log(*, limit: int, as_json: bool) -> None:
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        entries = operator_log.latest(tx, limit=limit)
    if as_json:
        print_json({"entries": [record(entry) for entry in entries]})
        return
    shown = table("seq", "when", "who", "did", "what with", "why", right=("seq",))
    for entry in entries:
        subject = ", ".join(f"{name} {_flat(value)}" for name, value in entry.subject.items())
        when = _moment(entry.at)
        shown.add_row(str(entry.seq), when, plain(entry.operator), entry.action, plain(subject), plain(entry.reason))
    out().print(shown if entries else "No operator has done anything yet.")


@troubles()
def verify_log(expected: str | None = None, *, as_json: bool) -> None:
    """Exit code 1 names the first entry that does not fit, or says that the chain is not the one expected."""
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        walked, broken = operator_log.first_broken_link(tx)
        head = operator_log.hash_at(tx, walked)
        noted = operator_log.hash_at(tx, chain_heads.seq(expected)) if expected else None
        is_other = expected is not None and not chain_heads.is_in_chain(noted, expected)
    if as_json:
        print_json({"entries": walked, "first_broken_link": broken, "head": head})
    elif broken is None and not is_other:
        out().print(f"The chain holds: {walked} entries.", style="green")
        out().print(facts({"head": f"{walked}:{head or ''}"}), soft_wrap=True)
    if broken is not None:
        raise LeaveError(REFUSED, f"The chain breaks at entry {broken}: it, or one before it, was changed or removed.")
    if is_other:
        raise LeaveError(REFUSED, f"The chain is whole but not the one you knew: entry {expected} is not in it.")


def _flat(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _moment(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
