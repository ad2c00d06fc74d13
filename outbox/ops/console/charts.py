"""Charts as data: the coordinates of each line on a plot of 100 by 40, and the labels of the axes. The templates draw
them as inline SVG; labels are HTML beside the plot, so that they stay readable at any width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

WIDTH, HEIGHT = 100.0, 40.0
Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One line of a chart, ready for the template.

    Attributes:
        name: its label.
        tone: the name of its colour in console.css.
        path: an SVG path in the plot's coordinates; a gap in the data is a gap in the line.
        area: the same, closed along the bottom, or empty without data.
        last: the newest value as text, or "none".
    """

    name: str
    tone: str
    path: str
    area: str
    last: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """A chart, ready for the template.

    Attributes:
        unit: of all its values, as shown.
        steps: labels of the vertical axis from top to bottom: highest, half, zero.
        summary: the text for screen readers.
        is_empty: True when there is no value but zero.
    """

    name: str
    unit: str
    lines: list[ChartLine]
    steps: list[str]
    summary: str
    is_empty: bool


def line_chart(name: str, unit: str, series: Sequence[tuple[str, str, Points]], *, decimals: int = 0) -> LineChart:
    """Lines over one time span, on one scale.

    `series` are (name, tone, points); each point is (position from 0 to 1, value or None where there is no data), in
    the order of time. `decimals` is for the newest values in the labels.
    """
    values = [value for _, _, points in series for _, value in points if value is not None]
    top = nice_top(max(values, default=0.0))
    lines = [_line(label, tone, points, top, decimals) for label, tone, points in series]
    now = ", ".join(f"{line.name} {line.last}" for line in lines)
    steps = [_number(top * part, 0 if top >= 2 and top % 2 == 0 else 2) for part in (1, 0.5, 0)]
    return LineChart(name, unit, lines, steps, f"{name}, {unit}; now: {now}", not any(values))


def nice_top(highest: float) -> float:
    """The next round number at or above `highest`, so that half of it is round as well: 1, 2, 4, 6, 10, 20, 40, ..."""
    top = 1.0
    while True:
        for step in (1, 2, 4, 6):
            if highest <= top * step:
                return top * step
        top *= 10


def _line(name: str, tone: str, points: Points, top: float, decimals: int) -> ChartLine:
    """Runs of known points become separate strokes, so that a chart never bridges missing data."""
    runs = [list(run) for known, run in groupby(points, key=lambda point: point[1] is not None) if known]
    path = " ".join(_path(run, top) for run in runs)
    floats = [value for _, value in points if value is not None]
    last = points[-1][1] if points else None
    shown = _number(last, decimals) if last is not None else "none"
    return ChartLine(name, tone, path, " ".join(_area(run, top) for run in runs) if floats else "", shown)


def _path(run: Points, top: float) -> str:
    """A run of one point becomes a line of zero length, which a round cap shows as a dot."""
    first, *rest = [_place(point, top) for point in run]
    return f"M{first} " + (" ".join(f"L{place}" for place in rest) if rest else "h0")


def _area(run: Points, top: float) -> str:
    start, end = run[0][0] * WIDTH, run[-1][0] * WIDTH
    return (
        f"M{start:.2f},{HEIGHT:g} " + " ".join(f"L{_place(point, top)}" for point in run) + f" L{end:.2f},{HEIGHT:g} Z"
    )


def _place(point: tuple[float, float | None], top: float) -> str:
    place, value = point
    assert value is not None, "runs hold known points only"
    return f"{place * WIDTH:.2f},{HEIGHT - value / top * HEIGHT:.2f}"


def _number(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True, slots=True)
class Slice:
    """One piece of a stacked bar. `start` and `width` are hundredths of the bar; `amount_minor` is in the bar's
    currency.
    """

    name: str
    tone: str
    start: float
    width: float
    count: int
    amount_minor: int


def shares(parts: Sequence[tuple[str, str, int, int]]) -> list[Slice]:
    """A bar of width 100 from (name, tone, count, amount in minor units), in the given order, proportional to the
    amounts.

    Very thin slices are widened to stay visible, and all are scaled down to fit again. Amounts must be of one currency.
    """
    total = sum(amount for *_, amount in parts) or 1
    widths = [max(amount / total * WIDTH, 0.6) if amount else 0.0 for *_, amount in parts]
    scale = WIDTH / (sum(widths) or 1)
    made, start = [], 0.0
    for (name, tone, count, amount), width in zip(parts, widths, strict=True):
        made.append(Slice(name, tone, round(start, 2), round(width * scale, 2), count, amount))
        start += width * scale
    return made
