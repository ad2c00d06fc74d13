"""Generates deploy/docs/metrics.md: every metric of every process, from its definition.

`python -m deploy.metrics_page` writes it; a test checks that the committed page is current.
"""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from messages.queues import QUEUE_CLASSES
from outbox.process import health, metric_names

PAGE = Path(__file__).parent / "docs" / "metrics.md"
# Modules that define metrics; importing the entry point of a process imports those that it uses.
MODULES = (
    "outbox.process.metrics",
    "outbox.monitoring.start",
    "workers.main",
    "outbox.intake.http",
    "outbox.ops.console.__main__",
)

HEAD = """\
# Metrics

Generated from the code by `make docs`. Every process serves `/metrics` on `HEALTH_HOST`:`HEALTH_PORT`. Metrics of *each
process* must be summed over processes. Metrics of the *collector* are read from database, broker and cache and exported
only by the leading scheduler. Rules and alerts: `deploy/prometheus/rules.yaml`.

| metric | type | labels | meaning | from |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True, order=True)
class MetricRow:
    """One metric, by the name a query uses (a histogram's ends with _bucket, _sum or _count besides)."""

    name: str
    kind: str
    labels: tuple[str, ...]
    says: str
    where: str


def lines() -> list[MetricRow]:
    """All of the fleet's, by name."""
    for module in MODULES:
        importlib.import_module(module)
    counted = {each for each in REGISTRY._collector_to_names if isinstance(each, MetricWrapperBase)}
    return sorted([*map(_counted, counted), *map(_shown, metric_names.ALL.values())])


def _counted(metric: MetricWrapperBase) -> MetricRow:
    kind = str(metric._type)
    name = f"{metric._name}_total" if kind == "counter" else metric._name
    return MetricRow(name, kind, tuple(metric._labelnames), metric._documentation, "each process")


def _shown(metric: metric_names.MetricName) -> MetricRow:
    name, kind = (f"{metric.name}_total", "counter") if metric.is_counter else (metric.name, "gauge")
    where = "each process" if metric in (health.UP, health.SILENT) else "collector"
    return MetricRow(name, kind, metric.labels, metric.says, where)


def page() -> str:
    rows = [
        f"| `{metric.name}` | {metric.kind} | {' '.join(f'`{name}`' for name in metric.labels)} "
        f"| {metric.says} | {metric.where} |\n"
        for metric in lines()
    ]
    classes = [f"| `{queue}` | {queue_class} |\n" for queue, queue_class in sorted(QUEUE_CLASSES.items())]
    tail = "".join(classes) + "| exchange `payments` | events |\n"
    return HEAD + "".join(rows) + "\n## Queue classes (`queue_class`)\n\n| queue | class |\n| --- | --- |\n" + tail


def main() -> int:
    PAGE.write_text(page())
    print(f"{len(lines())} metrics")
    return 0


if __name__ == "__main__":
    sys.exit(main())
