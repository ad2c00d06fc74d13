"""Actions on dead letters: preview a replay, discard, edit the payload; each is requested through outbox/requests."""

import json
from typing import Any

import orjson
from starlette.responses import Response

from db.dead_letters import views as dead_letter_views
from messages.queues import kind_to_message
from outbox.ops.console.pages.dead_letters import as_fields, chosen_in
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError
from outbox.requests.operators import dead_letters, replays
from outbox.requests.refusals import RefusedError


def preview(context: RequestContext) -> Response:
    """POST: make a batch of the selected dead letters; a worker classifies it, nothing is replayed yet."""
    with context.operator.transaction() as acting:
        batch_id, _size = replays.preview(
            acting,
            chosen_in(context.form),
            reason=context.form.text("reason"),
            rate_per_second=context.form.number("rate", otherwise=20, lowest=1, highest=1000),
            target_queue=context.form.text("target_queue") or None,
        )
    return context.redirect(f"/batches/{batch_id}")


def discard(context: RequestContext) -> Response:
    """Asks for confirmation with the number of dead letters, because a discarded message is never processed."""
    chosen, reason = chosen_in(context.form), context.form.text("reason")
    if not reason:
        raise RefusedError("give a reason: a discarded message is never processed")
    if context.form.text("confirmed") == "yes":
        with context.operator.transaction() as acting:
            dead_letters.discard(acting, chosen, reason=reason)
        return context.redirect("/dead-letters", done="discarded")
    with context.db.ops_transaction() as tx:
        count, some = dead_letter_views.count(tx, chosen), dead_letter_views.find(tx, chosen, limit=10)
    if not count:
        raise RefusedError("no open dead letter matches")
    kept = {**as_fields(context.form), "scope": context.form.text("scope"), "reason": reason}
    return context.page("discard.html", count=count, some=some, kept=kept, selected=context.form.texts("dead_letter"))


def edit_page(context: RequestContext) -> Response:
    details = _open_dead_letter(context)
    return context.page(
        "edit_payload.html", dead_letter=details.letter, payload=_message_in(details.payload), reason="", refused=""
    )


def edit(context: RequestContext) -> Response:
    """POST: replace the payload; a payload that its model rejects is shown again with the error (422)."""
    details = _open_dead_letter(context)
    payload, reason = context.form.text("payload"), context.form.text("reason")
    try:
        with context.operator.transaction() as acting:
            successor = dead_letters.edit(
                acting, details.letter.dead_letter_id, _as_payload(payload), context.services.sealer, reason=reason
            )
    except RefusedError as error:
        again = {"payload": payload, "reason": reason, "refused": str(error)}
        return context.page("edit_payload.html", status=422, dead_letter=details.letter, **again)
    return context.redirect(f"/dead-letters/{successor}", done="edited")


def _open_dead_letter(context: RequestContext) -> dead_letter_views.DeadLetterDetails:
    with context.db.ops_transaction() as tx:
        details = dead_letter_views.detail(tx, context.id_in_path("dead_letter"))
    if details is None:
        raise PageError(404, "dead letter not found")
    if details.letter.state != "open":
        raise RefusedError(f"this dead letter is {details.letter.state}; only an open one can be edited")
    if details.letter.kind not in kind_to_message():
        raise RefusedError("the payload of a foreign message cannot be edited here")
    return details


def _message_in(payload: str) -> str:
    """The message itself, without its Dramatiq envelope."""
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
        raise RefusedError("the payload is not valid JSON") from None
    if not isinstance(payload, dict):
        raise RefusedError("the payload must be a JSON object")
    return payload
