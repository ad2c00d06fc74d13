"""Dead letters: the filtered list, the groups by failure cause, and the details of one."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from starlette.responses import Response

from db.dead_letters import views as dead_letter_views
from db.dead_letters.states import CAUSES
from db.dead_letters.views import DeadLetterFilter
from db.tenants import tenants
from messages.queues import ROUTES, kind_to_message
from outbox.ops.console.request_context import FormFields, RequestContext
from outbox.ops.console.responses import PageError

PER_PAGE = 50
STATES = ("open", "replaying", "resolved", "discarded")
SOURCES = ("worker", "orders", "broker")
AGES = {"": None, "1 hour": 3600.0, "1 day": 86_400.0, "1 week": 604_800.0}
# Field names of the filter, in a query string and in a form.
NAMES = ("state", "group", "cause", "kind", "source", "tenant", "payment", "text", "older")


def index(context: RequestContext) -> Response:
    """GET /dead-letters: the list by filter, newest first, PER_PAGE a page; without a filter the open ones."""
    chosen = filter_of(context.query)
    page = context.query.number("page", otherwise=1, lowest=1, highest=100_000)
    with context.db.ops_transaction() as tx:
        total = dead_letter_views.count(tx, chosen)
        dead_letters = dead_letter_views.find(tx, chosen, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
        names = tenants.names(tx)
    return context.page(
        "dead_letters.html",
        dead_letters=dead_letters,
        total=total,
        tenants=names,
        page=page,
        pages=max(1, -(-total // PER_PAGE)),
        filter=as_fields(context.query),
        choices=_choices(),
        **decisions(),
    )


def groups(context: RequestContext) -> Response:
    """GET /dead-letters/groups: open dead letters by cause and place of failure, the largest group first."""
    with context.db.ops_transaction() as tx:
        return context.page("dead_letter_groups.html", groups=dead_letter_views.groups(tx, DeadLetterFilter()))


def detail(context: RequestContext) -> Response:
    """GET /dead-letters/{id}: payload (redacted), failed runs and replays; 404 when there is none."""
    with context.db.ops_transaction() as tx:
        details = dead_letter_views.detail(tx, context.id_in_path("dead_letter"))
        names = tenants.names(tx)
    if details is None:
        raise PageError(404, "dead letter not found")
    editable = details.letter.kind in kind_to_message()
    return context.page(
        "dead_letter.html", details=details, dead_letter=details.letter, tenants=names, editable=editable, **decisions()
    )


def decisions() -> dict[str, Any]:
    """The choices of the replay form."""
    return {"target_queues": sorted({route.queue for route in ROUTES.values()})}


def filter_of(fields: FormFields) -> DeadLetterFilter:
    """The filter in a query string or a form; the default state is open.

    Raises:
        PageError: 422, an id is not a UUID.
    """
    state = fields.text("state") or "open"
    return DeadLetterFilter(
        group_key=fields.text("group") or None,
        kind=fields.text("kind") or None,
        cause=fields.text("cause") or None,
        source=fields.text("source") or None,
        tenant_id=_id(fields, "tenant"),
        payment_id=_id(fields, "payment"),
        state=None if state == "all" else state,
        text=fields.text("text") or None,
        older_than_seconds=AGES.get(fields.text("older")),
    )


def chosen_in(fields: FormFields) -> DeadLetterFilter:
    """The dead letters an action applies to: the selected ones, or all open ones that match the filter.

    Raises:
        PageError: 422, nothing was selected, or an id is not a UUID.
    """
    if fields.text("scope") == "filter":
        return replace(filter_of(fields), state="open")
    ids = tuple(_as_id(text) for text in fields.texts("dead_letter"))
    if not ids:
        raise PageError(422, "no dead letter was selected: select some, or choose all that match")
    return DeadLetterFilter(ids=ids)


def as_fields(fields: FormFields) -> dict[str, str]:
    """The filter as strings, for a form or a query string."""
    return {name: fields.text(name) for name in NAMES}


def _choices() -> dict[str, list[str]]:
    return {
        "state": [*STATES, "all"],
        "cause": list(CAUSES),
        "source": list(SOURCES),
        "kind": sorted([*kind_to_message(), "order.placed"]),
        "older": [age for age in AGES if age],
    }


def _id(fields: FormFields, name: str) -> UUID | None:
    text = fields.text(name)
    return _as_id(text) if text else None


def _as_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise PageError(
            422, f"{text[:60]!r} is not a valid id; ids look like 0198c5f2-8d3e-7c4a-9b21-5f6e7d8c9a01"
        ) from None
