"""Cursor pagination as Stripe does it: newest first, `starting_after` and `ending_before` name objects, `has_more`
is exact."""

from typing import Any

import orjson

from ..wire.errors import Json, invalid
from ..world import Call

_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def list_objects(call: Call, kind: str, wanted: dict[str, Any]) -> Json:
    """`wanted` maps columns of `objects` to values; the created window and the cursors come from the call."""
    conditions = ["account = ?", "kind = ?"] + [f"{column} = ?" for column in wanted]
    values = [call.account, kind, *wanted.values()]
    return list_rows(call, "objects", conditions, values, read_body, columns="body")


def read_body(row: tuple[Any, ...]) -> Json:
    """The object in a row of one column."""
    body: Json = orjson.loads(row[0])
    return body


def list_rows(call: Call, table: str, conditions: list[str], values: list[Any], render: Any, *, columns: str) -> Json:
    """One page of a table, as Stripe lists: the `limit`, cursors and `created` window of the call, newest first.

    `conditions` are SQL over the columns of `table` with their `values`; `render` makes a row's `columns` into an
    object.

    Raises:
        StripeError: 400 for a limit outside 1 to 100, two cursors, or a cursor that names no object of this account.
    """
    given = call.parameters
    limit = page_size(given)
    window, window_values = _created(given.get("created"))
    cursor, cursor_values, order = _cursor(call, table)
    where = " AND ".join([*conditions, *window, *cursor])
    rows = call.world.store.execute(
        f"SELECT {columns} FROM {table} WHERE {where} ORDER BY sequence {order} LIMIT ?",
        [*values, *window_values, *cursor_values, limit + 1],
    ).fetchall()
    has_more = len(rows) > limit
    data = [render(row) for row in rows[:limit]]
    if order == "ASC":
        data.reverse()
    return {"object": "list", "data": data, "has_more": has_more, "url": call.path}


def page_size(given: Json) -> int:
    """The `limit` of a list, 10 unless given; 400 outside 1 to 100."""
    limit: int = given.get("limit", 10)
    if not 1 <= limit <= 100:
        raise invalid("Limit must be between 1 and 100.", code="parameter_invalid_integer", param="limit")
    return limit


def _created(window: Any) -> tuple[list[str], list[int]]:
    if window is None:
        return [], []
    if isinstance(window, int):
        return ["created = ?"], [window]
    return [f"created {_COMPARISONS[name]} ?" for name in window], list(window.values())


def _cursor(call: Call, table: str) -> tuple[list[str], list[int], str]:
    after, before = call.parameters.get("starting_after"), call.parameters.get("ending_before")
    if after and before:
        raise invalid("Pass only one of starting_after and ending_before.", param="starting_after")
    if after:
        return ["sequence < ?"], [_sequence(call, table, after, "starting_after")], "DESC"
    if before:
        return ["sequence > ?"], [_sequence(call, table, before, "ending_before")], "ASC"
    return [], [], "DESC"


def _sequence(call: Call, table: str, identifier: str, param: str) -> int:
    row = call.world.store.execute(
        f"SELECT sequence FROM {table} WHERE id = ? AND account = ?",
        (identifier, call.account),
    ).fetchone()
    if row is None:
        raise invalid(f"No such object: '{identifier}'", code="resource_missing", param=param)
    sequence: int = row[0]
    return sequence
