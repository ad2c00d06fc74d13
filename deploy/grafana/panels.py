"""The building blocks of dashboards: rows of panels, each with Prometheus queries (metrics: deploy/docs/metrics.md)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """`legend` is in Grafana's syntax: {{label}} is replaced by the label's value."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`kind`: timeseries, stat or table. `red_from`: the threshold shown in red, in a stat and as a line."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    red_from: float | None = None
    says: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    uid: str
    title: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def one(title: str, expr: str, legend: str = "", **more: object) -> Panel:
    return Panel(title, (Query(expr, legend),), **more)  # type: ignore[arg-type]


def stat(title: str, expr: str, **more: object) -> Panel:
    return Panel(title, (Query(expr),), kind="stat", width=4, **more)  # type: ignore[arg-type]


def quantile(of: float, metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({of}, sum by ({labels}) (rate({metric}_bucket[5m])))"
