"""What an operator decides about dead letters: preview a replay, discard, edit. Asked for by way of outbox/requests."""

import json
from typing import Any

import orjson
from starlette.responses import Response

from db.dead_letters import views as dead_letter_views
from messages.queues import kind_to_message
from outbox.ops.console.pages.dead_letters import as_fields, chosen_in
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import RequestContext
from outbox.requests.operators import dead_letters, replays
from outbox.requests.refusals import RefusedError


def preview(visit: RequestContext) -> Response:
    with visit.operator.transaction() as acting:
        batch_id, _size = replays.preview(
            acting,
            chosen_in(visit.form),
            reason=visit.form.text("reason"),
            rate_per_second=visit.form.number("rate", otherwise=20, lowest=1, highest=1000),
            target_queue=visit.form.text("target_queue") or None,
        )
    return visit.go(f"/batches/{batch_id}")


def discard(visit: RequestContext) -> Response:
    """Asks once more, with the number of letters: what is discarded is never done."""
    chosen, reason = chosen_in(visit.form), visit.form.text("reason")
    if not reason:
        raise RefusedError("say why: a discarded letter is never done")
    if visit.form.text("confirmed") == "yes":
        with visit.operator.transaction() as acting:
            dead_letters.discard(acting, chosen, reason=reason)
        return visit.go("/dead-letters", done="discarded")
    with visit.db.ops_transaction() as tx:
        count, some = dead_letter_views.count(tx, chosen), dead_letter_views.find(tx, chosen, limit=10)
    if not count:
        raise RefusedError("no open dead letter matches")
    kept = {**as_fields(visit.form), "scope": visit.form.text("scope"), "reason": reason}
    return visit.page("discard.html", count=count, some=some, kept=kept, ticked=visit.form.texts("letter"))


def edit_page(visit: RequestContext) -> Response:
    dead_letter = _open_letter(visit)
    return visit.page(
        "edit.html", letter=dead_letter.letter, payload=_message_in(dead_letter.payload), reason="", refused=""
    )


def edit(visit: RequestContext) -> Response:
    dead_letter = _open_letter(visit)
    payload, reason = visit.form.text("payload"), visit.form.text("reason")
    try:
        with visit.operator.transaction() as acting:
            successor = dead_letters.edit(
                acting, dead_letter.letter.dead_letter_id, _as_payload(payload), visit.room.sealer, reason=reason
            )
    except RefusedError as error:
        again = {"payload": payload, "reason": reason, "refused": str(error)}
        return visit.page("edit.html", status=422, letter=dead_letter.letter, **again)
    return visit.go(f"/dead-letters/{successor}", done="edited")


def _open_letter(visit: RequestContext) -> dead_letter_views.DeadLetterDetails:
    with visit.db.ops_transaction() as tx:
        dead_letter = dead_letter_views.detail(tx, visit.id_in_path("letter"))
    if dead_letter is None:
        raise PageError(404, "there is no such dead letter")
    if dead_letter.letter.state != "open":
        raise RefusedError(f"this letter is {dead_letter.letter.state}; only an open one can be edited")
    if dead_letter.letter.kind not in kind_to_message():
        raise RefusedError("this is no message of ours; its payload cannot be edited here")
    return dead_letter


def _message_in(payload: str) -> str:
    """The message itself, without the envelope that it travelled in."""
    try:
        content = json.loads(payload)
    except ValueError:
        return payload
    if isinstance(content, dict) and isinstance(content.get("kwargs"), dict):
        content = content["kwargs"].get("payload", content)
    return json.dumps(content, indent=2, ensure_ascii=False)


def _as_payload(text: str) -> dict[str, Any]:
    try:
        payload = orjson.loads(text)
    except ValueError:
        raise RefusedError("the payload is no JSON") from None
    if not isinstance(payload, dict):
        raise RefusedError("the payload is no JSON object")
    return payload
