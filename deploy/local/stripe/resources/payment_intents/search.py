"""Search over payment intents: `metadata['k']:'v'`, `status:'x'`, joined by AND, with answers that lag behind writes.

What is shown is the last version that has had `search_lag_seconds` to be indexed; a younger object is not found at all.
Only these clauses are served: another field or operator is refused, because a wrong answer would look like an absence.
"""

import re
from typing import Any

import orjson

from ...state.store import search_term
from ...wire.errors import Json, invalid, not_implemented
from ...world import Call
from ..lists import page_size

_CLAUSE = re.compile(
    r"""^(status|currency|customer|metadata\[["'](?P<key>[^"']+)["']\])\s*:\s*["'](?P<value>[^"']*)["']$"""
)
_JOIN = re.compile(r"\s+AND\s+", re.IGNORECASE)
_BATCH = 500


def search(call: Call) -> Json:
    """A page of `query`, newest first, of at most `limit` intents; `next_page` leads on.

    Raises:
        StripeError: 501 for a clause that is not served.
    """
    clauses = [_clause(text) for text in _JOIN.split(call.parameters["query"].strip())]
    limit, start = page_size(call.parameters), _start(call.parameters)
    found = _matching(call, clauses, start, limit + 1)
    shown = found[:limit]
    page: Json = {
        "object": "search_result",
        "data": [body for _, body in shown],
        "has_more": len(found) > limit,
        "url": call.path,
    }
    page["next_page"] = str(shown[-1][0]) if page["has_more"] else None
    return page


def _clause(text: str) -> tuple[str, str, bool]:
    """(field or metadata key, value, is it metadata)"""
    match = _CLAUSE.match(text)
    if match is None:
        raise not_implemented(f"the search clause {text}", "query")
    key = match.group("key")
    return (key, match.group("value"), True) if key else (match.group(1), match.group("value"), False)


def _start(given: Json) -> int:
    page = given.get("page")
    if page is None:
        return 2**62
    if not page.isdigit():
        raise invalid("Invalid page.", param="page")
    return int(page)


def _matching(call: Call, clauses: list[tuple[str, str, bool]], start: int, wanted: int) -> list[tuple[int, Json]]:
    found: list[tuple[int, Json]] = []
    while len(found) < wanted and (rows := _candidates(call, clauses, start)):
        for sequence, text in rows:
            start = sequence
            body = orjson.loads(text) if text else None
            if body is not None and all(_holds(body, clause) for clause in clauses):
                found.append((sequence, body))
    return found[:wanted]


def _candidates(call: Call, clauses: list[tuple[str, str, bool]], before: int) -> list[tuple[int, Any]]:
    """Newest first, each with the version that search has seen by now, or None if it has seen none."""
    horizon = call.world.clock.precise() - call.world.settings.search_lag_seconds
    visible = "CASE WHEN changed_at <= ? THEN body ELSE searchable END"
    terms = [search_term(call.account, key, value) for key, value, is_metadata in clauses if is_metadata]
    if terms:
        return call.world.store.execute(
            f"SELECT o.sequence, {visible} FROM search_terms AS t JOIN objects AS o ON o.sequence = t.sequence"
            " WHERE t.term = ? AND t.sequence < ? ORDER BY t.sequence DESC LIMIT ?",
            (horizon, terms[0], before, _BATCH),
        ).fetchall()
    return call.world.store.execute(
        f"SELECT sequence, {visible} FROM objects WHERE account = ? AND kind = 'payment_intent' AND sequence < ?"
        " ORDER BY sequence DESC LIMIT ?",
        (horizon, call.account, before, _BATCH),
    ).fetchall()


def _holds(body: Json, clause: tuple[str, str, bool]) -> bool:
    name, value, is_metadata = clause
    found = body["metadata"].get(name) if is_metadata else body[name]
    return bool(found == value)
