"""One trace from the order event to the last message it causes (W3C Trace Context: a trace id, and the id of a span).

A message carries both in its options; whoever handles the message sets them here, and append() reads them from here, so
that no function on the way has to pass them along. Spans are only made while somebody records
(outbox/process/tracing.py); the trace id is always there, for the logs.
"""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_FORM = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_FORM = re.compile(r"(?!0{16})[0-9a-f]{16}")
_OCTET = re.compile(r"[0-9a-f]{2}")
_NOBODY: Mapping[str, str] = {}

Attributes = Mapping[str, str | int | bool]


class Span(Protocol):
    """A piece of work under way. `note` adds attributes; no card data, no personal data."""

    @property
    def span_id(self) -> str | None: ...

    def note(self, **attributes: str | int | bool) -> None: ...

    def fail(self, word: str) -> None:
        """It came to nothing: a word or a class, never the text of an error. What is raised fails it by itself."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where we are in a trace; `span_id` is None where nobody records, or nothing was recorded before."""

    trace_id: str
    span_id: str | None


class Recorder(Protocol):
    """Makes spans out of places. `kind` is one of OpenTelemetry's: server, client, producer, consumer, internal."""

    def span(
        self, name: str, kind: str, place: TraceContext, attributes: Attributes, began_ns: int | None = None
    ) -> AbstractContextManager[Span]: ...


class _NoSpan:
    span_id = None

    def note(self, **attributes: str | int | bool) -> None:
        """Nobody records."""

    def fail(self, word: str) -> None:
        """Nobody records."""


@dataclass(frozen=True, slots=True)
class _SpansOfBatch:
    """One word to all of them."""

    spans: Sequence[Span]
    span_id = None

    def note(self, **attributes: str | int | bool) -> None:
        for each in self.spans:
            each.note(**attributes)

    def fail(self, word: str) -> None:
        for each in self.spans:
            each.fail(word)


_NO_SPAN: AbstractContextManager[Span] = nullcontext(_NoSpan())
_current: ContextVar[TraceContext | None] = ContextVar("trace", default=None)
_beside: ContextVar[Mapping[str, str]] = ContextVar("spans_beside", default=_NOBODY)  # of a batch: trace id -> span id
_recorder: Recorder | None = None
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def record_with(recorder: Recorder | None) -> None:
    """From now on this process makes spans, or with None no more."""
    global _recorder  # noqa: PLW0603  one per process, like the log
    _recorder = recorder


def is_recording() -> bool:
    return _recorder is not None


def current() -> str:
    """The trace id of the work under way; a new one when nothing began it."""
    place = _current.get()
    return place.trace_id if place else new()


def span_of(trace_id: str) -> str | None:
    """The span under way in this trace, which what is appended now follows from."""
    place = _current.get()
    if place is not None and place.trace_id == trace_id and place.span_id is not None:
        return place.span_id
    return _beside.get().get(trace_id)


def for_others() -> dict[str, str]:
    """Where we are, in words that another service keeps with an object and gives back with its events."""
    trace_id = current()
    span_id = span_of(trace_id)
    return {"trace_id": trace_id, **({"span_id": span_id} if span_id else {})}


def place_told(words: Mapping[str, str]) -> TraceContext | None:
    """What `for_others` said; None where the words are not ours."""
    trace_id, span_id = words.get("trace_id", ""), words.get("span_id", "")
    if not is_trace_id(trace_id):
        return None
    return TraceContext(trace_id, span_id if is_span_id(span_id) else None)


def new() -> str:
    """32 hex digits, never all zero (https://www.w3.org/TR/trace-context/#trace-id)."""
    return secrets.token_hex(16)


def is_trace_id(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def is_span_id(text: str) -> bool:
    return _SPAN_FORM.fullmatch(text) is not None


def is_traceparent(header: str) -> bool:
    """Whether it has the form of version 00, with ids that are not all zero; version ff is invalid."""
    match header.split("-"):
        case [version, trace_id, span_id, flags]:
            octets = _OCTET.fullmatch(version) and _OCTET.fullmatch(flags)
            return bool(octets) and version != "ff" and is_trace_id(trace_id) and is_span_id(span_id)
    return False


def traceparent(trace_id: str, span_id: str | None) -> str:
    """The header of W3C Trace Context. It wants a span: without one it is made from the trace's own id."""
    return f"00-{trace_id}-{span_id or trace_id[:16]}-01"


def parent_in(header: str | None) -> str | None:
    """The span id of a traceparent that was checked already."""
    return header.split("-")[2] if header else None


@contextmanager
def following(trace_id: str | None, span_id: str | None = None) -> Iterator[str]:
    """Everything appended inside belongs to this trace."""
    chosen = trace_id or new()
    token = _current.set(TraceContext(chosen, span_id))
    try:
        yield chosen
    finally:
        _current.reset(token)


def span(name: str, kind: str = "internal", **attributes: str | int | bool) -> AbstractContextManager[Span]:
    """A span of the trace under way; costs nothing worth measuring where nobody records."""
    if _recorder is None:
        return _NO_SPAN
    return _follow(_recorder, name, kind, _current.get() or TraceContext(new(), None), attributes)


@contextmanager
def _follow(recorder: Recorder, name: str, kind: str, place: TraceContext, attributes: Attributes) -> Iterator[Span]:
    with recorder.span(name, kind, place, attributes) as made, following(place.trace_id, made.span_id):
        yield made


@contextmanager
def spans_of_batch(
    name: str, kind: str, places: Sequence[TraceContext], began: datetime | None = None
) -> Iterator[Span]:
    """Work that is done at once for many traces: a span in each, which began now unless it is told when."""
    if _recorder is None:
        yield _NoSpan()
        return
    with ExitStack() as ending:
        made = {
            place.trace_id: ending.enter_context(_recorder.span(name, kind, place, {}, _ns(began))) for place in places
        }
        token = _beside.set({trace_id: span.span_id for trace_id, span in made.items() if span.span_id})
        try:
            yield _SpansOfBatch(list(made.values()))
        finally:
            _beside.reset(token)


def record_past(name: str, place: TraceContext, began: datetime) -> None:
    """A wait that ends now, and of which nobody knew when it began whether it would be recorded."""
    if _recorder is not None:
        with _recorder.span(name, "internal", place, {}, _ns(began)):
            pass


def _ns(when: datetime | None) -> int | None:
    return None if when is None else (when - _EPOCH) // timedelta(microseconds=1) * 1_000
