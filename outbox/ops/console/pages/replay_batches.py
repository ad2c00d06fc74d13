"""Replay batches: the preview with the money at stake, start, cancel, progress, and approval by a second operator."""

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
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError
from outbox.requests.approvals import approve_batch
from outbox.requests.operators import replays

PER_PAGE = 50
SHOWN_BATCHES = 100
# The explanation of each class; None means not classified yet.
MEANINGS = {
    "safe": "repeats the same operation with the same idempotency key",
    "needs_new_key": "verified not to have happened; sent with a new idempotency key",
    "already_done": "has succeeded in the meantime; closed without sending anything",
    "must_not": "a replay would be harmful or would fail again (refunded, cancelled, refused); skipped",
}
MOVING = frozenset({"classifying", "running"})
MAY_MOVE_MONEY = frozenset({"safe", "needs_new_key"})


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch with its totals by class, the money it may move by tenant and currency, and its progress."""

    batch: ReplayBatch
    progress: ItemCounts
    totals: list[ClassTotal]

    @property
    def by_class(self) -> list[tuple[str | None, int]]:
        """Number of dead letters by class, every class included; None is not classified yet."""
        counts: dict[str | None, int] = dict.fromkeys(MEANINGS, 0)
        for total in self.totals:
            counts[total.class_] = counts.get(total.class_, 0) + total.items
        return list(counts.items())

    @property
    def money(self) -> list[tuple[UUID | None, str, int, int]]:
        """Tenant, currency, number of dead letters and amount in minor units, of what the batch may move."""
        sums: dict[tuple[UUID | None, str], tuple[int, int]] = {}
        for total in self.totals:
            if total.class_ in MAY_MOVE_MONEY and total.currency is not None:
                items, minor = sums.get((total.tenant_id, total.currency), (0, 0))
                sums[total.tenant_id, total.currency] = (items + total.items, minor + total.amount_minor)
        return [(tenant, currency, *both) for (tenant, currency), both in sums.items()]

    @property
    def classified(self) -> int:
        return self.progress.total - self.progress.unclassified

    @property
    def finished(self) -> int:
        return self.progress.skipped + self.progress.closed + self.progress.succeeded + self.progress.failed

    @property
    def is_moving(self) -> bool:
        """True also when the batch is done, as long as workers are still processing its messages."""
        return self.batch.state in MOVING or self.progress.appended > 0


def index(context: RequestContext) -> Response:
    """GET /batches: the latest batches with their progress."""
    with context.db.ops_transaction() as tx:
        shown = [
            (batch, replay_batches.progress(tx, batch.batch_id))
            for batch in replay_batches.latest(tx, limit=SHOWN_BATCHES)
        ]
    return context.page("replay_batches.html", batches=shown)


def approvals(context: RequestContext) -> Response:
    """GET /approvals: everything that waits for a second operator, also what this user may not approve."""
    with context.db.ops_transaction() as tx:
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
    return context.page("approvals.html", **shown, limit_minor=context.services.ops.replay_approval_minor)


def detail(context: RequestContext) -> Response:
    """GET /batches/{id}: totals, money at stake, and the items, PER_PAGE a page; 404 when there is none."""
    page = context.query.number("page", otherwise=1, lowest=1, highest=100_000)
    with context.db.ops_transaction() as tx:
        view = _view(tx, _get_batch(tx, context))
        items = replay_batches.items(tx, view.batch.batch_id, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
        names = tenants.names(tx)
    pages = max(1, -(-view.progress.total // PER_PAGE))
    return context.page("replay_batch.html", items=items, page=page, pages=pages, **_shown(view, names))


def progress(context: RequestContext) -> Response:
    """The part of the page that refreshes while a worker processes the batch."""
    with context.db.ops_transaction() as tx:
        view, names = _view(tx, _get_batch(tx, context)), tenants.names(tx)
    response = context.page("replay_batch_live.html", **_shown(view, names))
    if not view.is_moving:
        # Reload the whole page, because the list of dead letters has changed too.
        response.headers["HX-Redirect"] = f"/batches/{view.batch.batch_id}"
    return response


def start(context: RequestContext) -> Response:
    """POST: start a previewed batch; above the limit it waits for a second operator."""
    batch_id = context.id_in_path("batch")
    with context.operator.transaction() as acting:
        state = replays.start(acting, batch_id)
    return context.redirect(f"/batches/{batch_id}", done="started" if state == "running" else "awaits_approval")


def approve(context: RequestContext) -> Response:
    batch_id = context.id_in_path("batch")
    with context.operator.transaction() as acting:
        approve_batch(acting, batch_id)
    return context.redirect(f"/batches/{batch_id}", done="approved")


def cancel(context: RequestContext) -> Response:
    batch_id = context.id_in_path("batch")
    with context.operator.transaction() as acting:
        replays.cancel(acting, batch_id, reason=context.form.text("reason"))
    return context.redirect(f"/batches/{batch_id}", done="cancelled")


def _get_batch(tx: Tx, context: RequestContext) -> ReplayBatch:
    batch = replay_batches.get(tx, context.id_in_path("batch"))
    if batch is None:
        raise PageError(404, "batch not found")
    return batch


def _view(tx: Tx, batch: ReplayBatch) -> BatchView:
    return BatchView(batch, replay_batches.progress(tx, batch.batch_id), replay_batches.totals(tx, batch.batch_id))


def _shown(view: BatchView, names: dict[UUID, str]) -> dict[str, Any]:
    return {"view": view, "batch": view.batch, "tenants": names, "meanings": MEANINGS}
