"""Registry of the metrics that are computed when they are scraped; deploy/docs/metrics.md is generated from it.

Counters that processes increment are in outbox/process/metrics.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

ALL: dict[str, "MetricName"] = {}


@dataclass(frozen=True, slots=True)
class MetricName:
    """A metric computed when it is scraped. `says` is its help text, `labels` the names of its labels in order."""

    name: str
    says: str
    labels: tuple[str, ...]
    is_counter: bool

    def family(self, values: Mapping[tuple[str, ...], float]) -> Metric:
        """The Prometheus family of these values, keyed by label values in the order of `labels`."""
        make = CounterMetricFamily if self.is_counter else GaugeMetricFamily
        family = make(self.name, self.says, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, float(value))
        return family

    def one(self, value: float) -> Metric:
        """The family of a metric without labels."""
        return self.family({(): value})


def shown(name: str, says: str, *labels: str, is_counter: bool = False) -> MetricName:
    """Register a metric at import and return it.

    Raises:
        AssertionError: the name is registered already.
    """
    assert name not in ALL, f"metric {name} is registered twice"
    ALL[name] = MetricName(name, says, labels, is_counter)
    return ALL[name]
