"""Replay batches: what each would mean for money, starting and stopping one, its progress, and the second person."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.responses import Response

from db.dead_letters import replay_batches
from db.dead_letters.replay_batches import ClassTotal, ItemCounts, ReplayBatch
from db.operators import requests as operator_requests
from db.refunds import mass_refunds
from db.session import Tx
from db.tenants import tenants
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import RequestContext
from outbox.requests.approvals import approve_batch
from outbox.requests.operators import replays

PER_PAGE = 50
SHOWN_BATCHES = 100
# What a class means, in the words of the page; None is not judged yet.
MEANINGS = {
    "safe": "the replay repeats the same operation under the same key",
    "needs_new_key": "proved never to have happened; it is sent under a new key",
    "already_done": "done meanwhile; the letter is closed and nothing is sent",
    "must_not": "a replay could do harm or cannot work (refunded, cancelled, refused again); it is left alone",
}
MOVING = frozenset({"classifying", "running"})
MAY_MOVE_MONEY = frozenset({"safe", "needs_new_key"})


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch as its page shows it: totals by class, the money it may move by tenant and currency, and where it is."""

    batch: ReplayBatch
    progress: ItemCounts
    totals: list[ClassTotal]

    @property
    def by_class(self) -> list[tuple[str | None, int]]:
        counts: dict[str | None, int] = dict.fromkeys(MEANINGS, 0)
        for total in self.totals:
            counts[total.class_] = counts.get(total.class_, 0) + total.items
        return list(counts.items())

    @property
    def money(self) -> list[tuple[UUID | None, str, int, int]]:
        """Tenant, currency, items and minor units of what may move."""
        sums: dict[tuple[UUID | None, str], tuple[int, int]] = {}
        for total in self.totals:
            if total.class_ in MAY_MOVE_MONEY and total.currency is not None:
                items, minor = sums.get((total.tenant_id, total.currency), (0, 0))
                sums[total.tenant_id, total.currency] = (items + total.items, minor + total.amount_minor)
        return [(tenant, currency, *both) for (tenant, currency), both in sums.items()]

    @property
    def judged(self) -> int:
        return self.progress.total - self.progress.unclassified

    @property
    def finished(self) -> int:
        return self.progress.skipped + self.progress.closed + self.progress.succeeded + self.progress.failed

    @property
    def is_moving(self) -> bool:
        """Also when done: items that were appended are still with the workers."""
        return self.batch.state in MOVING or self.progress.appended > 0


def index(visit: RequestContext) -> Response:
    with visit.db.ops_transaction() as tx:
        shown = [
            (batch, replay_batches.progress(tx, batch.batch_id))
            for batch in replay_batches.latest(tx, limit=SHOWN_BATCHES)
        ]
    return visit.page("batches.html", batches=shown)


def approvals(visit: RequestContext) -> Response:
    with visit.db.ops_transaction() as tx:
        waiting = replay_batches.in_state(tx, "awaiting_approval")
        views = [_view(tx, batch) for batch in waiting]
        names = tenants.names(tx)
        requests = [
            request
            for request in operator_requests.waiting(tx, limit=SHOWN_BATCHES)
            if request.state == "awaiting_approval"
        ]
        runs = [run for run in mass_refunds.latest(tx, limit=SHOWN_BATCHES) if run.state == "awaiting_approval"]
    shown: dict[str, Any] = {"views": views, "requests": requests, "runs": runs, "tenants": names}
    return visit.page("approvals.html", **shown, limit_minor=visit.room.ops.replay_approval_minor)


def detail(visit: RequestContext) -> Response:
    page = visit.query.number("page", otherwise=1, lowest=1, highest=100_000)
    with visit.db.ops_transaction() as tx:
        view = _view(tx, _found(tx, visit))
        items = replay_batches.items(tx, view.batch.batch_id, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
        names = tenants.names(tx)
    pages = max(1, -(-view.progress.total // PER_PAGE))
    return visit.page("batch.html", items=items, page=page, pages=pages, **_shown(view, names))


def progress(visit: RequestContext) -> Response:
    """The part of the page that changes while a worker is at it."""
    with visit.db.ops_transaction() as tx:
        view, names = _view(tx, _found(tx, visit)), tenants.names(tx)
    response = visit.page("batch_live.html", **_shown(view, names))
    if not view.is_moving:
        # Once more the whole page: the letters below have moved too.
        response.headers["HX-Redirect"] = f"/batches/{view.batch.batch_id}"
    return response


def start(visit: RequestContext) -> Response:
    batch_id = visit.id_in_path("batch")
    with visit.operator.transaction() as acting:
        state = replays.start(acting, batch_id)
    return visit.go(f"/batches/{batch_id}", done="started" if state == "running" else "waits")


def approve(visit: RequestContext) -> Response:
    batch_id = visit.id_in_path("batch")
    with visit.operator.transaction() as acting:
        approve_batch(acting, batch_id)
    return visit.go(f"/batches/{batch_id}", done="approved")


def cancel(visit: RequestContext) -> Response:
    batch_id = visit.id_in_path("batch")
    with visit.operator.transaction() as acting:
        replays.cancel(acting, batch_id, reason=visit.form.text("reason"))
    return visit.go(f"/batches/{batch_id}", done="cancelled")


def _found(tx: Tx, visit: RequestContext) -> ReplayBatch:
    batch = replay_batches.get(tx, visit.id_in_path("batch"))
    if batch is None:
        raise PageError(404, "there is no such batch")
    return batch


def _view(tx: Tx, batch: ReplayBatch) -> BatchView:
    return BatchView(batch, replay_batches.progress(tx, batch.batch_id), replay_batches.totals(tx, batch.batch_id))


def _shown(view: BatchView, names: dict[UUID, str]) -> dict[str, Any]:
    return {"view": view, "batch": view.batch, "tenants": names, "meanings": MEANINGS}
