"""The events list: the last 30 days, newest first; the snapshot never changes, only `pending_webhooks` does."""

from typing import Any

import orjson

from ...wire.errors import Json, invalid, missing_object
from ...world import Call
from ..lists import list_rows

_KEPT_SECONDS = 30 * 24 * 3600


def retrieve(call: Call) -> Json:
    row = call.world.store.execute(
        "SELECT body, pending FROM events WHERE id = ? AND account = ? AND created > ?",
        (call.path_ids[0], call.account, call.world.clock.now() - _KEPT_SECONDS),
    ).fetchone()
    if row is None:
        raise missing_object("event", call.path_ids[0])
    return _render(row)


def list_all(call: Call) -> Json:
    given = call.parameters
    conditions = ["account = ?", "created > ?"]
    values: list[Any] = [call.account, call.world.clock.now() - _KEPT_SECONDS]
    if "delivery_success" in given:
        conditions.append("pending = 0" if given["delivery_success"] else "pending > 0")
    if types := _types(given):
        patterns = [kind.replace("*", "%") if "*" in kind else kind for kind in types]
        conditions.append("(" + " OR ".join(["type LIKE ?" if "%" in p else "type = ?" for p in patterns]) + ")")
        values += patterns
    return list_rows(call, "events", conditions, values, _render, columns="body, pending")


def _types(given: Json) -> list[str]:
    if "type" in given and "types" in given:
        raise invalid("Pass only one of type and types.", param="types")
    types: list[str] = given.get("types") or ([given["type"]] if "type" in given else [])
    if len(types) > 20:
        raise invalid("At most 20 types.", param="types")
    return types


def _render(row: tuple[Any, ...]) -> Json:
    event: Json = orjson.loads(row[0])
    event["pending_webhooks"] = row[1]
    return event
