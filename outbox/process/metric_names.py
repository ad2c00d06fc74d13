"""The names of what the collector shows: each is written down once, here and in deploy/docs/metrics.md by itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

ALL: dict[str, "MetricName"] = {}


@dataclass(frozen=True, slots=True)
class MetricName:
    """`family` makes it ready for Prometheus: values by the values of its labels, in their order."""

    name: str
    says: str
    labels: tuple[str, ...]
    is_counter: bool

    def family(self, values: Mapping[tuple[str, ...], float]) -> Metric:
        make = CounterMetricFamily if self.is_counter else GaugeMetricFamily
        family = make(self.name, self.says, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, float(value))
        return family

    def one(self, value: float) -> Metric:
        """For a metric without labels."""
        return self.family({(): value})


def shown(name: str, says: str, *labels: str, is_counter: bool = False) -> MetricName:
    assert name not in ALL, f"{name} is shown twice"
    ALL[name] = MetricName(name, says, labels, is_counter)
    return ALL[name]
