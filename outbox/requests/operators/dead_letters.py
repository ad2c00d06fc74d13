"""Dead letters that are not replayed as they are: discarded, or followed by a successor with another payload."""

from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError

from db.dead_letters import views as dead_letter_views
from db.dead_letters.views import DeadLetterFilter, DeadLetterLine
from messages.queues import kind_to_message
from messages.runtime.redaction import REDACTED, redact_text
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError, require
from outbox.sealing import Sealer


def discard(acting: OperatorTransaction, chosen: DeadLetterFilter, *, reason: str) -> list[UUID]:
    """Close open dead letters that nobody will replay; returns which.

    Raises:
        RefusedError: nothing matches, or no reason was given.
    """
    require(reason.strip(), "give a reason: a discarded message is never processed")
    closed = dead_letter_views.discard(acting.tx, chosen, operator=acting.operator, reason=reason)
    require(closed, "no open dead letter matches")
    acting.log("discard", {"letters": [str(letter) for letter in closed]}, reason)
    return closed


def edit(
    acting: OperatorTransaction, dead_letter_id: UUID, payload: dict[str, Any], sealer: Sealer, *, reason: str
) -> UUID:
    """Make a linked successor with another payload, checked by the message's model; the old dead letter is discarded.

    Raises:
        RefusedError: unknown or closed dead letter, a payload its model refuses, no reason, or not a worker's message.
    """
    require(reason.strip(), "give a reason for the new payload")
    letter = _open_letter(acting, dead_letter_id)
    body = orjson.dumps(_checked(letter, payload))
    require(REDACTED not in body.decode(), f"the payload still contains {REDACTED}: replace it by the real value")
    successor = dead_letter_views.add_successor(
        acting.tx,
        letter,
        payload=redact_text(body.decode()),
        sealed=sealer.seal(body),
        sha256=sha256(body).digest(),
        headers={"edited_by": acting.operator},
        reason=f"edited from {dead_letter_id}: {reason}",
    )
    followed = f"followed by {successor}: {reason}"
    by_hand = DeadLetterFilter(ids=(dead_letter_id,))
    dead_letter_views.discard(acting.tx, by_hand, operator=acting.operator, reason=followed)
    acting.log("edit", {"letters": [str(dead_letter_id)], "successor": str(successor)}, reason)
    return successor


def _open_letter(acting: OperatorTransaction, dead_letter_id: UUID) -> DeadLetterLine:
    dead_letters = dead_letter_views.find(acting.tx, DeadLetterFilter(ids=(dead_letter_id,)), limit=1)
    if not dead_letters:
        raise RefusedError(f"there is no open dead letter {dead_letter_id}")
    return dead_letters[0]


def _checked(letter: DeadLetterLine, payload: dict[str, Any]) -> dict[str, Any]:
    """The payload as its message model writes it.

    Raises:
        RefusedError: the dead letter's kind is none of ours, or the model rejects the payload; the first error is
            named.
    """
    model = kind_to_message().get(letter.kind or "")
    if model is None:
        raise RefusedError(f"{letter.kind or 'this dead letter'} is no message of ours; its payload cannot be edited")
    try:
        return model.model_validate(payload).model_dump(mode="json")
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in detail["loc"])
        raise RefusedError(f"the payload is no {model.__name__}: {place} {detail['msg']}") from None
