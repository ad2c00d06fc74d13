"""What an operator can decide about escrow: release a payment's shares, hold them, approve, withdraw.

As at the desk for refunds: each decision is one transaction of the wish, the message for the worker that carries it
out, and the entry in the operator log. A release that moves more than one person may decide waits for a second one; to
hold money moves none.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from db.operators import log as operator_log
from db.operators import release_requests
from db.operators.release_requests import EscrowRequest
from db.session import Tx
from db.shares import escrow
from db.shares.escrow import EscrowLine
from messages.money import Money
from messages.shares import OpsEscrowDue
from outbox.append import append
from outbox.ops.dead_letters.actions import Operator, RefusedError


@dataclass(frozen=True, slots=True)
class EscrowActions:
    """`desk` says who is at work, and above which amount two must be."""

    desk: Operator

    def release(self, payment_id: UUID, *, note: str) -> EscrowRequest:
        """Let the shares of a payment go, whatever escrow waits for.

        Raises:
            RefusedError: nothing of it is in escrow, it is asked for already, or no reason was given.
        """
        return self._ask(payment_id, "release", note)

    def hold(self, payment_id: UUID, *, note: str) -> EscrowRequest:
        """Keep the shares of a payment in escrow until a person releases them. Raises as `release`."""
        return self._ask(payment_id, "hold", note)

    def approve(self, wish_id: UUID) -> EscrowRequest:
        """The second person lets it go on.

        Raises:
            RefusedError: it waits for no approval, or this is the person who asked for it.
        """
        with self.desk.db.ops_transaction() as tx:
            wish = self._wish(tx, wish_id)
            _require(self.desk.operator != wish.created_by, "four eyes are two people: somebody else must approve this")
            if not release_requests.approve(tx, wish_id, by=self.desk.operator):
                raise RefusedError(f"the wish is {wish.state}; it waits for no approval")
            _append(tx, wish)
            self._log(tx, "approve escrow release", _subject(wish), wish.note)
            return self._wish(tx, wish_id)

    def withdraw(self, wish_id: UUID, *, reason: str) -> None:
        """Take a wish back that waits for approval. Raises RefusedError when it does not, or no reason was given."""
        _require(reason.strip(), "say why, in a few words")
        with self.desk.db.ops_transaction() as tx:
            wish = self._wish(tx, wish_id)
            if not release_requests.withdraw(tx, wish_id, by=self.desk.operator, reason=reason):
                raise RefusedError(f"the wish is {wish.state}; it waits for no approval")
            self._log(tx, "withdraw escrow release", _subject(wish), reason)

    def _ask(self, payment_id: UUID, what: str, note: str) -> EscrowRequest:
        _require(note.strip(), "say why, in a few words")
        with self.desk.db.ops_transaction() as tx:
            held = self._held(tx, payment_id)
            if any(wish.what == what for wish in release_requests.waiting(tx, limit=10, payment_id=payment_id)):
                raise RefusedError(f"somebody has asked to {what} it already")
            dear = what == "release" and held.held_minor > self.desk.settings.replay_approval_minor
            amount = Money(held.held_minor, held.currency)
            wish_id = release_requests.ask(
                tx,
                held.tenant_id,
                held.payment_id,
                what=what,
                amount=amount,
                note=note,
                by=self.desk.operator,
                waits=dear,
            )
            wish = self._wish(tx, wish_id)
            if not dear:
                _append(tx, wish)
            self._log(tx, f"{what} escrow", _subject(wish) | {"state": wish.state}, note)
            return wish

    def _held(self, tx: Tx, payment_id: UUID) -> EscrowLine:
        held = escrow.of_payment(tx, payment_id)
        if held is None:
            raise RefusedError(f"there is no payment {payment_id} with shares")
        if held.released_at is not None or not held.held_minor:
            raise RefusedError("nothing of this payment is in escrow")
        return held

    def _wish(self, tx: Tx, wish_id: UUID) -> EscrowRequest:
        wish = release_requests.get(tx, wish_id)
        if wish is None:
            raise RefusedError(f"there is no wish {wish_id}")
        return wish

    def _log(self, tx: Tx, action: str, subject: dict[str, Any], reason: str) -> None:
        operator_log.write(tx, operator=self.desk.operator, action=action, subject=subject, reason=reason)


def _append(tx: Tx, wish: EscrowRequest) -> None:
    append(tx, OpsEscrowDue(tenant_id=wish.tenant_id, payment_id=wish.payment_id, wish_id=wish.wish_id))


def _subject(wish: EscrowRequest) -> dict[str, Any]:
    return {
        "wish_id": str(wish.wish_id),
        "payment_id": str(wish.payment_id),
        "amount_minor": wish.amount_minor,
        "currency": wish.currency,
    }


def _require(given: object, otherwise: str) -> None:
    if not given:
        raise RefusedError(otherwise)
