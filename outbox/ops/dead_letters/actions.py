"""The desk: everything an operator can decide, for the command line and the console alike.

Each decision is one transaction: the change, the message that a worker needs to carry it out, and the entry in the
operator log. The desk itself moves no money and asks nobody outside; classifying and replaying are done by workers.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from pydantic import Field, ValidationError

from db.dead_letters import replay_batches
from db.dead_letters import views as dead_letter_views
from db.dead_letters.replay_batches import ReplayBatch
from db.dead_letters.views import DeadLetterFilter, DeadLetterLine
from db.operators import log as operator_log
from db.reconciliation import cases
from db.reconciliation.cases import Case
from db.session import Database
from messages.queues import ROUTES, kind_to_message
from messages.replays import ClassifyDue, ReplayDue
from messages.runtime.redaction import REDACTED, redact_text
from messages.runtime.settings import FleetSettings
from outbox.append import append
from outbox.sealing import Sealer


class OpsSettings(FleetSettings):
    """From which amount on a second operator must approve; it counts per currency."""

    replay_approval_minor: int = Field(
        default=100_000,
        ge=0,
        description="minor units above which a replay, refund, release or event cancellation needs a second operator",
    )


class RefusedError(Exception):
    """The desk cannot do that; the sentence says why and what to do instead."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator at work. `operator` is who the log will name."""

    db: Database
    settings: OpsSettings
    operator: str

    def preview(
        self, chosen: DeadLetterFilter, *, reason: str, rate_per_second: int = 20, target_queue: str | None = None
    ) -> tuple[UUID, int]:
        """Make a batch of the open letters of a filter and have a worker classify it; returns its id and size.

        Raises:
            RefusedError: nothing matches, no reason was given, or the queue does not exist.
        """
        _require(reason.strip(), "say why, in a few words")
        queues = {route.queue for route in ROUTES.values()}
        if target_queue is not None and target_queue not in queues:
            raise RefusedError(f"there is no queue {target_queue!r}; there are {', '.join(sorted(queues))}")
        with self.db.ops_transaction() as tx:
            batch_id, size = replay_batches.create(
                tx,
                chosen,
                operator=self.operator,
                reason=reason,
                rate_per_second=rate_per_second,
                target_queue=target_queue,
            )
            _require(size, "no open dead letter matches")
            append(tx, ClassifyDue(batch_id=batch_id))
            subject = {"batch_id": str(batch_id), "selection": chosen.as_json(), "letters_count": size}
            self._log(tx, "preview" if target_queue is None else "redirect", subject, reason)
        return batch_id, size

    def start(self, batch_id: UUID) -> str:
        """Start a previewed batch; returns its new state: running, or awaiting_approval above the money limit.

        Raises:
            RefusedError: unknown, not classified yet, or started, done or cancelled before.
        """
        with self.db.ops_transaction() as tx:
            batch = self._locked(tx, batch_id)
            to = "awaiting_approval" if self._is_dear(tx, batch_id) else "running"
            if not replay_batches.move(tx, batch_id, leaving=("previewed",), to=to, by=self.operator):
                raise RefusedError(f"the batch is {batch.state}; only a previewed one can be started")
            if to == "running":
                append(tx, ReplayDue(batch_id=batch_id))
            self._log(tx, "start", {"batch_id": str(batch_id), "state": to}, batch.reason)
        return to

    def approve(self, batch_id: UUID) -> None:
        """The second person lets a dear batch run.

        Raises:
            RefusedError: it waits for no approval, or this is the person who started it.
        """
        with self.db.ops_transaction() as tx:
            batch = self._locked(tx, batch_id)
            if self.operator in {batch.started_by, batch.created_by}:
                raise RefusedError("four eyes are two people: somebody else must approve your batch")
            if not replay_batches.move(tx, batch_id, leaving=("awaiting_approval",), to="running", by=self.operator):
                raise RefusedError(f"the batch is {batch.state}; it waits for no approval")
            append(tx, ReplayDue(batch_id=batch_id))
            self._log(tx, "approve", {"batch_id": str(batch_id)}, batch.reason)

    def cancel(self, batch_id: UUID, *, reason: str) -> None:
        """Stop a batch; what was appended already runs on, what waits stays open.

        Raises:
            RefusedError: it is done or cancelled already, or no reason was given.
        """
        _require(reason.strip(), "say why, in a few words")
        leaving = ("classifying", "previewed", "awaiting_approval", "running")
        with self.db.ops_transaction() as tx:
            batch = self._locked(tx, batch_id)
            if not replay_batches.move(tx, batch_id, leaving=leaving, to="canceled", by=self.operator):
                raise RefusedError(f"the batch is {batch.state} already")
            self._log(tx, "cancel", {"batch_id": str(batch_id)}, reason)

    def discard(self, chosen: DeadLetterFilter, *, reason: str) -> list[UUID]:
        """Close open letters that nobody will bring back; returns which.

        Raises:
            RefusedError: nothing matches, or no reason was given.
        """
        _require(reason.strip(), "say why: a discarded letter is never done")
        with self.db.ops_transaction() as tx:
            closed = dead_letter_views.discard(tx, chosen, operator=self.operator, reason=reason)
            _require(closed, "no open dead letter matches")
            self._log(tx, "discard", {"letters": [str(letter) for letter in closed]}, reason)
        return closed

    def edit(self, dead_letter_id: UUID, payload: dict[str, Any], sealer: Sealer, *, reason: str) -> UUID:
        """Make a linked successor with another payload, checked by the message's model; the old letter is discarded.

        Raises:
            RefusedError: unknown or closed letter, a payload its model refuses, no reason, or not a worker's message.
        """
        _require(reason.strip(), "say why the payload is changed")
        with self.db.ops_transaction() as tx:
            letter = self._open_letter(tx, dead_letter_id)
            body = orjson.dumps(_checked(letter, payload))
            _require(REDACTED not in body.decode(), f"the payload still holds {REDACTED}: write the real value there")
            successor = dead_letter_views.add_successor(
                tx,
                letter,
                payload=redact_text(body.decode()),
                sealed=sealer.seal(body),
                sha256=sha256(body).digest(),
                headers={"edited_by": self.operator},
                reason=f"edited from {dead_letter_id}: {reason}",
            )
            by_hand = DeadLetterFilter(ids=(dead_letter_id,))
            dead_letter_views.discard(tx, by_hand, operator=self.operator, reason=f"followed by {successor}: {reason}")
            self._log(tx, "edit", {"letters": [str(dead_letter_id)], "successor": str(successor)}, reason)
        return successor

    def accept_case(self, case_id: UUID, *, reason: str) -> Case:
        """Close a case as it is; the same finding is not opened again.

        Raises:
            RefusedError: there is no such open case, or no reason was given.
        """
        _require(reason.strip(), "say why: what does not fit stays as it is")
        with self.db.ops_transaction() as tx:
            case = cases.accept_case(tx, case_id, operator=self.operator, reason=reason)
            if case is None:
                raise RefusedError(f"there is no open case {case_id}")
            subject = {"case_id": str(case_id), "type": case.type, "subject": case.subject}
            if case.payment_id is not None:
                subject["payment_id"] = str(case.payment_id)
            self._log(tx, "accept case", subject, reason)
        return case

    def _log(self, tx: Any, action: str, subject: dict[str, Any], reason: str) -> None:
        operator_log.write(tx, operator=self.operator, action=action, subject=subject, reason=reason)

    def _locked(self, tx: Any, batch_id: UUID) -> ReplayBatch:
        batch = replay_batches.lock(tx, batch_id)
        if batch is None:
            raise RefusedError(f"there is no batch {batch_id}")
        return batch

    def _is_dear(self, tx: Any, batch_id: UUID) -> bool:
        by_currency: dict[str | None, int] = {}
        for total in replay_batches.totals(tx, batch_id):
            if total.class_ in {"safe", "needs_new_key"}:
                by_currency[total.currency] = by_currency.get(total.currency, 0) + total.amount_minor
        return any(minor > self.settings.replay_approval_minor for minor in by_currency.values())

    def _open_letter(self, tx: Any, dead_letter_id: UUID) -> DeadLetterLine:
        dead_letters = dead_letter_views.find(tx, DeadLetterFilter(ids=(dead_letter_id,)), limit=1)
        if not dead_letters:
            raise RefusedError(f"there is no open dead letter {dead_letter_id}")
        return dead_letters[0]


def _checked(letter: DeadLetterLine, payload: dict[str, Any]) -> dict[str, Any]:
    model = kind_to_message().get(letter.kind or "")
    if model is None:
        raise RefusedError(f"{letter.kind or 'this letter'} is no message of ours; its payload cannot be edited")
    try:
        return model.model_validate(payload).model_dump(mode="json")
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in detail["loc"])
        raise RefusedError(f"the payload is no {model.__name__}: {place} {detail['msg']}") from None


def _require(given: object, otherwise: str) -> None:
    if not given:
        raise RefusedError(otherwise)
