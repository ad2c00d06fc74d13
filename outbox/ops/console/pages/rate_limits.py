"""Stripe rate limits: the request rate of each endpoint, the usage by tenant, and the tenants and venues that are
paused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

import redis
from starlette.responses import Response

from db.session import Tx
from db.tenants import pauses, tenants
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError
from outbox.ops.options import SPANS
from outbox.ops.pauses import show as pause_show
from outbox.requests.operators import pauses as pause_requests
from stripe_client.rate_limit.shared_budget import ACCOUNT, BucketState

SHOWN_ENDED = 10
FULL = 100.0


@dataclass(frozen=True, slots=True)
class BudgetGauge:
    """A rate limiter bucket and its bar; both widths are percent of Stripe's limit, at most 100 for the use."""

    state: BucketState
    learned_width: float
    used_width: float

    @property
    def name(self) -> str:
        return "whole account" if self.state.name == ACCOUNT else self.state.name.replace("_", " ")

    @property
    def is_cut(self) -> bool:
        """True while the limiter uses less than Stripe's limit, because Stripe answered 429."""
        return self.state.learned_per_second < 0.99 * self.state.base_per_second


@dataclass(frozen=True, slots=True)
class TenantUsage:
    """One tenant's part of the account's requests in the last seconds."""

    tenant_id: UUID | None
    per_second: float
    width: float


def index(context: RequestContext) -> Response:
    """GET /budget: buckets, usage by tenant, pauses in force and the last ones that ended."""
    with context.db.ops_transaction() as tx:
        choices, latest = places(tx), pauses.latest(tx, limit=5 * SHOWN_ENDED)
    ended = [each for each in latest if not each.is_in_force][:SHOWN_ENDED]
    return context.page(
        "rate_limits.html", places=choices, ended=ended, spans=SPANS, end=pause_show.end, **_live(context)
    )


def live(context: RequestContext) -> Response:
    """The part of the page that refreshes."""
    return context.page("rate_limits_live.html", **_live(context))


def pause(context: RequestContext) -> Response:
    """POST: pause a tenant ("tenant") or a venue ("tenant/venue"); an unknown span means until it is lifted."""
    target, span = context.form.text("target"), context.form.text("span")
    tenant, _, venue = target.partition("/")
    try:
        tenant_id, venue_id = UUID(tenant), UUID(venue) if venue else None
    except ValueError:
        raise PageError(422, "choose a tenant or a venue") from None
    with context.operator.transaction() as acting:
        pause_requests.pause(
            acting,
            tenant_id=tenant_id,
            venue_id=venue_id,
            what=context.form.text("what"),
            reason=context.form.text("reason"),
            seconds=SPANS.get(span),
        )
    return context.redirect("/budget", done="paused")


def lift(context: RequestContext) -> Response:
    with context.operator.transaction() as acting:
        pause_requests.lift(acting, context.id_in_path("pause"), reason=context.form.text("reason"))
    return context.redirect("/budget", done="lifted")


def places(tx: Tx) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every tenant with its venues, as (name, [(value of the form, name)])."""
    grouped = groupby(tenants.places(tx), key=lambda place: (place.tenant, place.tenant_id))
    return [
        (
            tenant,
            [
                (str(tenant_id), "the whole tenant"),
                *((f"{tenant_id}/{venue.venue_id}", venue.venue) for venue in venue_names),
            ],
        )
        for (tenant, tenant_id), venue_names in grouped
    ]


def _live(context: RequestContext) -> dict[str, Any]:
    states = _buckets(context.services.read_buckets)
    with context.db.ops_transaction() as tx:
        active, names = pauses.in_force(tx), tenants.names(tx)
    return {
        "gauges": None if states is None else [_gauge(state) for state in states],
        "usage": _usage(states or []),
        "pauses": active,
        "tenants": names,
        "place": pause_show.place,
    }


def _buckets(read: Callable[[], list[BucketState]] | None) -> list[BucketState] | None:
    """None while the cache is unreachable: each worker then uses its local share of the budget."""
    if read is None:
        return None
    try:
        return read()
    except (redis.RedisError, OSError):
        return None


def _gauge(state: BucketState) -> BudgetGauge:
    per_hundred = FULL / state.base_per_second
    used = min(FULL, state.used_per_second * per_hundred)
    return BudgetGauge(state, round(state.learned_per_second * per_hundred, 1), round(used, 1))


def _usage(states: list[BucketState]) -> list[TenantUsage]:
    account = next((state for state in states if state.name == ACCOUNT), None)
    if account is None:
        return []
    total = sum(use.per_second for use in account.tenants) or 1.0
    return [
        TenantUsage(use.tenant_id, use.per_second, round(use.per_second / total * FULL, 1)) for use in account.tenants
    ]
