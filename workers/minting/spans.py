"""The minter's phases as spans, in the trace of each payment whose tickets a transaction carries.

A span hangs on the one in which the token was asked for, so that whoever looks at a payment sees: how long its tickets
waited for the minter, the sending and each repetition of it, how long the chain took, and the confirmation. A batch has
a span in each trace that it carries something of.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from db.minting import submissions
from db.minting.mints import Mint
from db.minting.nonces import Nonce
from messages.runtime import trace
from messages.runtime.trace import Span, TraceContext
from workers.minting.context import MintingContext


def spans(
    name: str, carried: Sequence[Mint], *, kind: str = "internal", began: datetime | None = None
) -> AbstractContextManager[Span]:
    """A span in the trace of each payment whose tickets are carried; it began now, unless `began` says when."""
    return trace.spans_of_batch(name, kind, _places(carried), began)


def spans_of(means: MintingContext, slot: Nonce, name: str, *, kind: str = "internal") -> AbstractContextManager[Span]:
    """The same for whatever a slot carries, which is only read where spans are recorded."""
    if not trace.is_recording():
        return trace.spans_of_batch(name, kind, [])
    with means.db.system_transaction() as tx:
        return spans(name, submissions.of_slot(tx, slot.slot_id), kind=kind)


def record_waits(name: str, carried: Sequence[Mint]) -> None:
    """What was carried stood as it stands until now."""
    for mint, place in {place.trace_id: (mint, place) for mint in carried if (place := _place(mint))}.values():
        trace.record_past(name, place, mint.state_since)


def made_at(slot: Nonce) -> datetime:
    """When the nonce was taken, by this machine's clock: spans are drawn by it, nothing is decided."""
    return datetime.now(UTC) - timedelta(seconds=slot.made_seconds_ago)


def _places(carried: Sequence[Mint]) -> list[TraceContext]:
    return list({place.trace_id: place for mint in carried if (place := _place(mint))}.values())


def _place(mint: Mint) -> TraceContext | None:
    return None if mint.trace_id is None else TraceContext(mint.trace_id, mint.span_id)
