"""One trace id from the order event to the last message it causes (W3C Trace Context, the trace-id part).

A message carries it in its options; whoever handles the message sets it here, and append() reads it from here, so that
no function on the way has to pass it along.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FORM = re.compile(r"(?!0{32})[0-9a-f]{32}")
_current: ContextVar[str | None] = ContextVar("trace_id", default=None)


def current() -> str:
    """The trace id of the work under way; a new one when nothing began it."""
    return _current.get() or new()


def new() -> str:
    """32 hex digits, never all zero (https://www.w3.org/TR/trace-context/#trace-id)."""
    return secrets.token_hex(16)


def is_trace_id(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


@contextmanager
def following(trace_id: str | None) -> Iterator[str]:
    """Everything appended inside belongs to this trace."""
    chosen = trace_id or new()
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)
