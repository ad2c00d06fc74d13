"""What an operator can decide about refunds: ask for one, try one again, cancel an event, steer that, and approve.

As at the desk for dead letters, each decision is one transaction: the wish, the message for the worker that carries it
out, and the entry in the operator log. What may move more than one person may decide waits for a second one; the limit
is the one for replays, because the question is the same: how much money may a single mistake move.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from db.operators import log as operator_log
from db.operators import refund_requests
from db.operators.refund_requests import AskedBeforeError, NewRefundOrder, RefundOrder
from db.refunds import mass_refunds
from db.refunds import views as refund_views
from db.refunds.mass_refunds import MassRefund
from db.refunds.views import EventSales, RefundableBalance, RefundLine
from db.session import Tx
from messages.ids import PaymentId, TenantId
from messages.refunds import OpsRefundDue
from outbox.append import append
from outbox.ops.dead_letters.actions import Operator, RefusedError
from outbox.requests.mass_refunds import append_step, cancel_event

REASONS = ("requested_by_customer", "duplicate", "fraudulent", "order_cancelled")
# Those that a person may still hold up.
STEERABLE = ("running", "waiting_for_balance")


@dataclass(frozen=True, slots=True)
class RefundActions:
    """`desk` says who is at work, and above which amount two must be."""

    desk: Operator

    def create(
        self, payment_id: UUID, *, amount_minor: int | None, ticket_ids: Sequence[UUID], reason: str, note: str
    ) -> RefundOrder:
        """Ask for a refund: of an amount, of tickets, or (neither) of whatever is left.

        Raises:
            RefusedError: unknown payment, nothing left, another reason than REASONS, or no note.
        """
        _require(note.strip(), "say why, in a few words")
        _require(reason in REASONS, f"the reason is one of {', '.join(REASONS)}")
        _require(not (ticket_ids and amount_minor), "say an amount or tickets, not both")
        with self.desk.db.ops_transaction() as tx:
            refundable = self._standing(tx, payment_id)
            wish = NewRefundOrder(
                TenantId(refundable.tenant_id),
                PaymentId(payment_id),
                amount_minor,
                refundable.currency,
                ticket_ids,
                reason,
                note,
                self.desk.operator,
            )
            return self._ask(tx, wish, _moves(tx, refundable, amount_minor, ticket_ids), "refund")

    def retry(self, refund_id: UUID, *, note: str) -> RefundOrder:
        """Ask again for what a refund that came to nothing should have given back.

        Raises:
            RefusedError: unknown, alive, or being tried again already; or no note.
        """
        _require(note.strip(), "say why, in a few words")
        with self.desk.db.ops_transaction() as tx:
            refund = refund_views.by_name(tx, str(refund_id))
            if refund is None:
                raise RefusedError(f"there is no refund {refund_id}")
            if refund.state not in {"failed", "refused", "canceled"}:
                raise RefusedError(f"the refund is {refund.state}; only one that came to nothing is tried again")
            return self._ask(tx, _again(refund, note, self.desk.operator), refund.amount_minor, "retry refund")

    def approve(self, name: UUID) -> RefundOrder | MassRefund:
        """The second person lets a refund, or a mass cancellation, go on.

        Raises:
            RefusedError: it waits for no approval, or this is the person who asked for it.
        """
        with self.desk.db.ops_transaction() as tx:
            wish = refund_requests.get(tx, name)
            if wish is not None:
                return self._approve_refund(tx, wish)
            return self._approve_cancellation(tx, self._run(tx, name))

    def withdraw(self, request_id: UUID, *, reason: str) -> None:
        """Take a refund back that waits for approval.

        Raises:
            RefusedError: it does not wait any more, or no reason was given.
        """
        _require(reason.strip(), "say why, in a few words")
        with self.desk.db.ops_transaction() as tx:
            if not refund_requests.withdraw(tx, request_id, by=self.desk.operator, reason=reason):
                raise RefusedError(f"no refund {request_id} waits for approval")
            self._log(tx, "withdraw refund", {"request_id": str(request_id)}, reason)

    def sales(self, event_id: UUID, tenant_id: UUID | None) -> list[EventSales]:
        """What would be given back, of the one tenant that sold the event.

        Raises:
            RefusedError: nobody sold it, or several tenants did and none was named.
        """
        with self.desk.db.ops_transaction() as tx:
            event_saleses = refund_views.sales_of_event(tx, event_id)
        mine = [sale for sale in event_saleses if tenant_id is None or sale.tenant_id == tenant_id]
        _require(mine, f"nobody has sold anything for event {event_id}: is that its id?")
        tenants = {sale.tenant_id: sale.tenant for sale in mine}
        if len(tenants) > 1:
            names = ", ".join(f"{name} ({tenant})" for tenant, name in tenants.items())
            raise RefusedError(f"several tenants have sold event {event_id}; name one with --tenant: {names}")
        return mine

    def cancel_event(
        self, event_id: UUID, tenant_id: UUID | None, *, note: str, rate_per_second: int, despite_balance: bool
    ) -> MassRefund:
        """Cancel an event: every order of it gets everything back.

        Raises:
            RefusedError: as `sales`, it is cancelled already, or no reason was given.
        """
        _require(note.strip(), "say why: every buyer's refund carries it")
        sales = self.sales(event_id, tenant_id)
        dear = any(sale.left_minor > self.desk.settings.replay_approval_minor for sale in sales)
        with self.desk.db.ops_transaction() as tx:
            run, new = cancel_event(
                tx,
                TenantId(sales[0].tenant_id),
                event_id,
                note=note,
                by=self.desk.operator,
                rate_per_second=rate_per_second,
                despite_balance=despite_balance,
                awaits_approval=dear,
            )
            if not new:
                raise RefusedError(f"the event is cancelled already, by {run.created_by}: {run.cancellation_id}")
            self._log(tx, "cancel event", _subject(run) | {"state": run.state, "orders": run.total}, note)
        return run

    def pause(self, cancellation_id: UUID, *, reason: str) -> MassRefund:
        """Raises RefusedError when it does not run, or no reason was given."""
        return self._steer(cancellation_id, "paused", STEERABLE, "pause event cancellation", reason)

    def stop(self, cancellation_id: UUID, *, reason: str) -> MassRefund:
        """Go no further. What was asked for stays asked for; the event may be cancelled anew.

        Raises:
            RefusedError: it is done or stopped already, or no reason was given.
        """
        leaving = (*STEERABLE, "awaiting_approval", "paused")
        return self._steer(cancellation_id, "canceled", leaving, "stop event cancellation", reason)

    def resume(
        self, cancellation_id: UUID, *, reason: str, rate_per_second: int | None = None, despite_balance: bool = False
    ) -> MassRefund:
        """Go on where it stands, or stop waiting for the balance; perhaps at another pace.

        Raises:
            RefusedError: it is neither paused nor waiting, or no reason was given.
        """
        leaving = ("paused", "waiting_for_balance")
        with self.desk.db.ops_transaction() as tx:
            run = self._run(tx, cancellation_id)
            mass_refunds.set_pace(tx, run, rate_per_second=rate_per_second, despite_balance=despite_balance or None)
            current = self._steered(tx, run, "running", leaving, "resume event cancellation", reason)
            append_step(tx, current, current.step)
        return current

    def _steer(self, cancellation_id: UUID, state: str, leaving: Sequence[str], action: str, reason: str) -> MassRefund:
        with self.desk.db.ops_transaction() as tx:
            return self._steered(tx, self._run(tx, cancellation_id), state, leaving, action, reason)

    def _steered(
        self, tx: Tx, run: MassRefund, state: str, leaving: Sequence[str], action: str, reason: str
    ) -> MassRefund:
        _require(reason.strip(), "say why, in a few words")
        if not mass_refunds.steer(tx, run, state, leaving=leaving, by=self.desk.operator, reason=reason):
            raise RefusedError(f"the cancellation is {run.state.replace('_', ' ')}")
        self._log(tx, action, _subject(run), reason)
        return self._run(tx, run.cancellation_id)

    def _ask(self, tx: Tx, wish: NewRefundOrder, moves_minor: int, action: str) -> RefundOrder:
        dear = moves_minor > self.desk.settings.replay_approval_minor
        try:
            request_id = refund_requests.ask(tx, wish, awaits_approval=dear)
        except AskedBeforeError as error:
            raise RefusedError(str(error)) from None
        refund_order = refund_requests.get(tx, request_id)
        assert refund_order is not None, "it was written a moment ago in this transaction"
        if not dear:
            _append(tx, refund_order)
        subject = {"request_id": str(request_id), "payment_id": str(wish.payment_id), "state": refund_order.state}
        self._log(tx, action, subject | {"amount_minor": moves_minor, "currency": wish.currency}, wish.note)
        return refund_order

    def _approve_refund(self, tx: Tx, wish: RefundOrder) -> RefundOrder:
        self._require_another(wish.created_by)
        if not refund_requests.approve(tx, wish.request_id, by=self.desk.operator):
            raise RefusedError(f"the refund is {wish.state}; it waits for no approval")
        _append(tx, wish)
        subject = {"request_id": str(wish.request_id), "payment_id": str(wish.payment_id)}
        self._log(tx, "approve refund", subject, wish.note)
        return wish

    def _approve_cancellation(self, tx: Tx, run: MassRefund) -> MassRefund:
        self._require_another(run.created_by)
        if not mass_refunds.approve(tx, run, by=self.desk.operator):
            raise RefusedError(f"the cancellation is {run.state.replace('_', ' ')}; it waits for no approval")
        append_step(tx, run, run.step)
        self._log(tx, "approve event cancellation", _subject(run), run.note)
        return self._run(tx, run.cancellation_id)

    def _require_another(self, person: str) -> None:
        _require(self.desk.operator != person, "four eyes are two people: somebody else must approve this")

    def _standing(self, tx: Tx, payment_id: UUID) -> RefundableBalance:
        refundable = refund_views.standing(tx, payment_id)
        if refundable is None:
            raise RefusedError(f"there is no payment {payment_id}")
        if refundable.left_minor == 0:
            raise RefusedError("everything was given back already, or is on its way")
        return refundable

    def _run(self, tx: Tx, name: UUID) -> MassRefund:
        run = mass_refunds.get(tx, name)
        if run is None:
            raise RefusedError(f"there is nothing with the id {name}")
        return run

    def _log(self, tx: Tx, action: str, subject: dict[str, Any], reason: str) -> None:
        operator_log.write(tx, operator=self.desk.operator, action=action, subject=subject, reason=reason)


def _moves(tx: Tx, refundable: RefundableBalance, amount_minor: int | None, ticket_ids: Sequence[UUID]) -> int:
    """The most that this wish gives back, in minor units; 0 when no money was taken yet."""
    if refundable.left_minor is None:
        return 0
    return amount_minor or (
        refund_views.price_of_tickets(tx, refundable, ticket_ids) if ticket_ids else refundable.left_minor
    )


def _again(refund: RefundLine, note: str, by: str) -> NewRefundOrder:
    return NewRefundOrder(
        TenantId(refund.tenant_id),
        PaymentId(refund.payment_id),
        None if refund.ticket_ids else refund.amount_minor,
        refund.currency,
        refund.ticket_ids,
        refund.reason,
        note,
        by,
        retry_of=refund.refund_id,
    )


def _append(tx: Tx, wish: RefundOrder) -> None:
    append(tx, OpsRefundDue(tenant_id=wish.tenant_id, payment_id=wish.payment_id, request_id=wish.request_id))


def _subject(run: MassRefund) -> dict[str, Any]:
    return {"cancellation_id": str(run.cancellation_id), "event_id": str(run.event_id)}


def _require(given: object, otherwise: str) -> None:
    if not given:
        raise RefusedError(otherwise)
