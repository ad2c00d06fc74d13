"""Dead letters: in groups, as a list with filters, and one by one with all that is known."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from starlette.responses import Response

from db.dead_letters import views as dead_letter_views
from db.dead_letters.states import CAUSES
from db.dead_letters.views import DeadLetterFilter
from db.tenants import tenants
from messages.queues import ROUTES, kind_to_message
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import FormFields, RequestContext

PER_PAGE = 50
STATES = ("open", "replaying", "resolved", "discarded")
SOURCES = ("worker", "orders", "broker")
AGES = {"": None, "1 hour": 3600.0, "1 day": 86_400.0, "1 week": 604_800.0}
# Of a filter as it stands in an address or a form.
NAMES = ("state", "group", "cause", "kind", "source", "tenant", "payment", "text", "older")


def index(visit: RequestContext) -> Response:
    chosen = filter_of(visit.query)
    page = visit.query.number("page", otherwise=1, lowest=1, highest=100_000)
    with visit.db.ops_transaction() as tx:
        total = dead_letter_views.count(tx, chosen)
        dead_letters = dead_letter_views.find(tx, chosen, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
        names = tenants.names(tx)
    return visit.page(
        "letters.html",
        letters=dead_letters,
        total=total,
        tenants=names,
        page=page,
        pages=max(1, -(-total // PER_PAGE)),
        filter=as_fields(visit.query),
        choices=_choices(),
        **decisions(),
    )


def groups(visit: RequestContext) -> Response:
    with visit.db.ops_transaction() as tx:
        return visit.page("groups.html", groups=dead_letter_views.groups(tx, DeadLetterFilter()))


def detail(visit: RequestContext) -> Response:
    with visit.db.ops_transaction() as tx:
        dead_letter = dead_letter_views.detail(tx, visit.id_in_path("letter"))
        names = tenants.names(tx)
    if dead_letter is None:
        raise PageError(404, "there is no such dead letter")
    editable = dead_letter.letter.kind in kind_to_message()
    return visit.page(
        "letter.html", found=dead_letter, letter=dead_letter.letter, tenants=names, editable=editable, **decisions()
    )


def decisions() -> dict[str, Any]:
    """What the form of a decision offers."""
    return {"target_queues": sorted({route.queue for route in ROUTES.values()})}


def filter_of(fields: FormFields) -> DeadLetterFilter:
    """The filter that a query or a form describes; without a state it means the open ones.

    Raises:
        Trouble: an id that is none.
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
    """Which letters a decision is about: those ticked, or all open ones of the filter.

    Raises:
        Trouble: nothing was ticked, or an id that is none.
    """
    if fields.text("scope") == "filter":
        return replace(filter_of(fields), state="open")
    ids = tuple(_as_id(text) for text in fields.texts("letter"))
    if not ids:
        raise PageError(422, "no dead letter was ticked: tick some, or choose all that match")
    return DeadLetterFilter(ids=ids)


def as_fields(fields: FormFields) -> dict[str, str]:
    """The filter as plain texts, to write it into a form or an address again."""
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
        raise PageError(422, f"{text[:60]!r} is no id: ids look like 0198c5f2-8d3e-7c4a-9b21-5f6e7d8c9a01") from None
