"""What operators decide about refunds and cancelled events. Money moves only after a confirmation or --yes."""

from collections.abc import Sequence
from uuid import UUID

from db.refunds import views as refund_views
from db.refunds.mass_refunds import MassRefund
from db.refunds.views import EventSales
from outbox.ops import output
from outbox.ops.approvals import leave_for_approval, print_answer
from outbox.ops.output import record
from outbox.ops.prompts import CommandOptions, confirm, print_result, why
from outbox.ops.refunds import show as refund_show
from outbox.ops.session import REFUSED, LeaveError, Operator, operator_session, troubles
from outbox.requests.operators import mass_refunds, refunds


@troubles()
def create_refund(
    payment_id: UUID, amount_minor: int | None, ticket_ids: Sequence[UUID], because: str, options: CommandOptions
) -> None:
    """Confirm, request a refund, and wait for the worker's answer; a payment without money taken is cancelled
    instead.
    """
    reason = why(options)
    with operator_session(options.operator) as operator:
        _confirm_refund(operator, payment_id, amount_minor, ticket_ids, options)
        with operator.transaction() as acting:
            request = refunds.request_refund(
                acting, payment_id, amount_minor=amount_minor, ticket_ids=ticket_ids, reason=because, note=reason
            )
        print_answer(operator, request, options)


def _confirm_refund(
    operator: Operator, payment_id: UUID, amount_minor: int | None, ticket_ids: Sequence[UUID], options: CommandOptions
) -> None:
    with operator.db.ops_transaction() as tx:
        refundable = refund_views.standing(tx, payment_id)
        priced = refund_views.price_of_tickets(tx, refundable, ticket_ids) if refundable and ticket_ids else None
    if refundable is None:
        raise LeaveError(REFUSED, f"Payment {payment_id} not found.")
    if refundable.left_minor is None:
        question = f"The payment is not captured yet ({refundable.state}). Cancel it?"
    else:
        much = output.money(amount_minor or priced or refundable.left_minor, refundable.currency)
        question = (
            f"Refund {much} of the remaining {output.money(refundable.left_minor, refundable.currency)} to the buyer?"
        )
    confirm(question, "Nothing was refunded.", options)


@troubles()
def retry_refund(refund_id: UUID, options: CommandOptions) -> None:
    """Confirm, and request a failed refund again as a new one.

    Raises:
        LeaveError: there is no such refund (exit code 1).
    """
    reason = why(options)
    with operator_session(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            refund = refund_views.by_name(tx, str(refund_id))
        if refund is None:
            raise LeaveError(REFUSED, f"Refund {refund_id} not found.")
        much = output.money(refund.amount_minor, refund.currency)
        confirm(f"Refund {much} again, as a new refund?", "Nothing was refunded.", options)
        with operator.transaction() as acting:
            request = refunds.retry_refund(acting, refund_id, note=reason)
        print_answer(operator, request, options)


@troubles()
def cancel_event(
    event_id: UUID, tenant_id: UUID | None, rate: int, options: CommandOptions, *, despite_balance: bool, watch: bool
) -> None:
    """Confirm with the number of orders and the amount, cancel the event, and follow its refunds with `watch`.

    Raises:
        LeaveError: above the limit, a second operator must approve (exit code 3).
    """
    reason = why(options)
    with operator_session(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            sales = mass_refunds.sales_of_event(tx, event_id, tenant_id)
        confirm(_question(sales), "The event is not cancelled.", options)
        with operator.transaction() as acting:
            run = mass_refunds.cancel_event(
                acting, event_id, tenant_id, note=reason, rate_per_second=rate, despite_balance=despite_balance
            )
        if run.state == "awaiting_approval":
            leave_for_approval(record(run), f"fleet refunds approve {run.cancellation_id}", options)
        if watch:
            run = refund_show.until_done(operator.db, run.cancellation_id, patience_seconds=options.patience_seconds)
            refund_show.print_run(operator.db, run, as_json=options.as_json)
            return
    print_result(
        record(run), f"Cancelled. Follow it: fleet refunds event-status {run.cancellation_id} --watch", options
    )


def _question(sales: Sequence[EventSales]) -> str:
    money = ", ".join(output.money(sale.left_minor, sale.currency) for sale in sales)
    orders = sum(sale.orders for sale in sales)
    return f"Cancel this event of {sales[0].tenant}: {orders} orders, {money} to refund? This is final."


@troubles()
def resume(cancellation_id: UUID, rate: int | None, options: CommandOptions, *, despite_balance: bool) -> None:
    """Continue a paused mass refund, or one that waits for the balance."""
    with operator_session(options.operator) as operator:
        reason = why(options)
        with operator.transaction() as acting:
            run = mass_refunds.resume(
                acting, cancellation_id, reason=reason, rate_per_second=rate, despite_balance=despite_balance
            )
    _tell_run(run, options)


@troubles()
def steer(verb: str, cancellation_id: UUID, options: CommandOptions) -> None:
    """`verb` is pause or stop."""
    reason = why(options)
    with operator_session(options.operator) as operator:
        if verb == "stop":
            confirm("Stop it for good? Orders that were not processed yet are not refunded.", "Not stopped.", options)
        with operator.transaction() as acting:
            run = (mass_refunds.stop if verb == "stop" else mass_refunds.pause)(acting, cancellation_id, reason=reason)
    _tell_run(run, options)


def _tell_run(run: MassRefund, options: CommandOptions) -> None:
    print_result(record(run), f"It is {run.state}: {run.taken} of {run.total} orders processed.", options)
