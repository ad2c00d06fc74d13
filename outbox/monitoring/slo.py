"""The counters of the service level: payments and refunds, each judged once when old enough (db/monitoring/slo.py).

They count from when this scheduler took the lead; Prometheus treats that as any restart of a counter. What becomes old
enough while no scheduler leads (seconds) is not counted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client.metrics_core import Metric

from db.monitoring import slo
from db.monitoring.slo import SloSample
from db.session import Database, Tx
from outbox.process.metric_names import MetricName, shown

PAYMENTS = shown(
    "fleet_slo_payments", "Payments by whether they were decided within the objective", "result", is_counter=True
)
REFUNDS = shown(
    "fleet_slo_refunds", "Refunds by whether Stripe accepted them within the objective", "result", is_counter=True
)


@dataclass(slots=True)
class SloCollector:
    """A part of the collector: one counter with the results good and bad.

    Attributes:
        judge: counts good and bad since a point in time, in the transaction it is given.
        within_seconds: the objective; an item is judged once it is this old.
        shown: the metric; its only label is the result.
    """

    db: Database
    judge: Callable[[Tx, datetime], SloSample]
    within_seconds: float
    shown: MetricName
    _since: datetime | None = None
    _counted: dict[tuple[str, ...], float] = field(default_factory=lambda: {("good",): 0.0, ("bad",): 0.0})

    def __call__(self) -> list[Metric]:
        """Judge what became old enough since the last call, and return the totals. When it raises, nothing is counted,
        and the next call judges the same span.
        """
        with self.db.system_transaction() as tx:
            since = self._since or slo.begin(tx, within_seconds=self.within_seconds)
            slo_sample = self.judge(tx, since)
        self._since = slo_sample.until
        self._counted["good",] += slo_sample.good
        self._counted["bad",] += slo_sample.bad
        return [self.shown.family(self._counted)]


def levels(db: Database, *, payment_seconds: float, refund_seconds: float) -> list[SloCollector]:
    """The counters of payments and refunds; both objectives in seconds."""

    def payments(tx: Tx, since: datetime) -> SloSample:
        return slo.payments(tx, since=since, within_seconds=payment_seconds)

    def refunds(tx: Tx, since: datetime) -> SloSample:
        return slo.refunds(tx, since=since, within_seconds=refund_seconds)

    return [SloCollector(db, payments, payment_seconds, PAYMENTS), SloCollector(db, refunds, refund_seconds, REFUNDS)]
