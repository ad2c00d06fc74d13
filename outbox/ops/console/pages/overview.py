"""The first page: throughput, backlogs and money by state. It refreshes every few seconds."""

import time
from itertools import groupby
from typing import Any

from starlette.responses import Response

from db.monitoring.overview import StateTotal
from db.monitoring.throughput import Interval
from outbox.ops.console.charts import LineChart, Points, Slice, line_chart, shares
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.sampler import SLICE_SECONDS, SLICES, Sample, SamplePoint, Sampler

# After about five missed samples the page warns that its numbers are stale.
STALE_SECONDS = 15.0
# Units for a chart of ages: name, seconds, and the largest age it is used for.
_UNITS = (("seconds", 1, 300.0), ("minutes", 60, 18_000.0), ("hours", 3600, float("inf")))
_ORDER_OF_STATES = (
    "succeeded",
    "authorized",
    "processing",
    "charging",
    "requires_action",
    "requested",
    "failed",
    "canceled",
)


def index(context: RequestContext) -> Response:
    """GET /: reads no database, only the sampler's last sample; None until the first one is taken."""
    return context.page("overview.html", **_values(context.services.sampler))


def live(context: RequestContext) -> Response:
    """The part of the page that refreshes."""
    return context.page("overview_live.html", **_values(context.services.sampler))


def _values(sampler: Sampler) -> dict[str, Any]:
    """The template's values. `stale_seconds` is None while the sample is fresh."""
    sample = sampler.latest
    if sample is None:
        return {"sample": None}
    age = time.monotonic() - sample.taken_at
    return {
        "sample": sample,
        "stale_seconds": age if age > STALE_SECONDS else None,
        "last_minute": sample.beats[-1],
        "charts": [_pace(sample.beats), _speed(sample.beats), _oldest(list(sampler.marks))],
        "queues": _queues(sample),
        "currencies": _by_currency(sample.totals),
    }


def _pace(beats: list[Interval]) -> LineChart:
    """Payments per minute; the points are intervals of SLICE_SECONDS, so counts are scaled to a minute."""
    each = 60 / SLICE_SECONDS

    def of(name: str) -> Points:
        return [(place / (SLICES - 1), getattr(beat, name) * each) for place, beat in enumerate(beats)]

    series = [("accepted", "calm", of("accepted")), ("settled", "good", of("settled")), ("failed", "bad", of("failed"))]
    return line_chart("Payments", "per minute", series)


def _speed(beats: list[Interval]) -> LineChart:
    """Median and 95th percentile from order to settled, in seconds; an interval without a settled payment is a gap."""

    def of(name: str) -> Points:
        return [(place / (SLICES - 1), getattr(beat, name)) for place, beat in enumerate(beats)]

    series = [("p95", "busy", of("p95_seconds")), ("p50", "calm", of("p50_seconds"))]
    return line_chart("Order to settled", "seconds", series, decimals=1)


def _oldest(marks: list[SamplePoint]) -> LineChart:
    """Drawn from this process's own samples, because the database does not record past ages."""
    span = SLICE_SECONDS * SLICES
    now = marks[-1].at if marks else 0.0
    recent = [mark for mark in marks if now - mark.at <= span]
    longest = max([max(mark.oldest_moving_seconds, mark.oldest_due_seconds) for mark in recent], default=0.0)
    unit, per = next((unit, per) for unit, per, up_to in _UNITS if longest <= up_to)

    def of(name: str) -> Points:
        return [(1 - (now - mark.at) / span, getattr(mark, name) / per) for mark in recent]

    series = [
        ("payment in progress", "warn", of("oldest_moving_seconds")),
        ("outbox row due", "busy", of("oldest_due_seconds")),
    ]
    return line_chart("Oldest waiting", unit, series, decimals=1)


def _queues(sample: Sample) -> list[dict[str, Any]]:
    """One bar per queue: messages ready at the broker and outbox rows due for it."""
    due: dict[str, int] = {}
    for lot in sample.lots:
        due[lot.destination] = due.get(lot.destination, 0) + lot.due
    ready = {name: max(depth, 0) for name, depth in (sample.queues or {}).items()}
    names = [*ready, *(name for name in due if name not in ready)]
    most = max([ready.get(name, 0) + due.get(name, 0) for name in names], default=0) or 1
    return [
        {
            "name": name,
            "ready": ready.get(name) if sample.queues is not None else None,
            "due": due.get(name, 0),
            "ready_width": round(ready.get(name, 0) * 100 / most, 2),
            "due_width": round(due.get(name, 0) * 100 / most, 2),
        }
        for name in names
    ]


def _by_currency(totals: list[StateTotal]) -> list[tuple[str, int, int, list[Slice]]]:
    """Per currency: number of payments, total amount, and the breakdown by state."""
    made = []
    for currency, group in groupby(sorted(totals, key=lambda total: total.currency), key=lambda total: total.currency):
        rows = sorted(group, key=lambda total: _ORDER_OF_STATES.index(total.state))
        parts = [(row.state, f"state-{row.state}", row.payments, row.amount_minor) for row in rows]
        made.append((currency, sum(row.payments for row in rows), sum(row.amount_minor for row in rows), shares(parts)))
    return made
