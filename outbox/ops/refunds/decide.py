"""What operators decide about refunds and cancelled events. Money moves only after a confirmation or --yes."""

from collections.abc import Sequence
from uuid import UUID

from db.operators import refund_requests
from db.operators.refund_requests import RefundOrder
from db.refunds import views as refund_views
from db.refunds.mass_refunds import MassRefund
from db.refunds.views import EventSales
from outbox.ops.dead_letters import tables
from outbox.ops.dead_letters.actions import Operator
from outbox.ops.dead_letters.decide import CommandOptions, confirm, told, why
from outbox.ops.dead_letters.progress import follow
from outbox.ops.output import plain, print_json, record, said
from outbox.ops.refunds import show as refund_show
from outbox.ops.refunds.actions import RefundActions
from outbox.ops.session import REFUSED, WAITS_FOR_APPROVAL, LeaveError, desk, troubles


@troubles()
def create_refund(
    payment_id: UUID, amount_minor: int | None, ticket_ids: Sequence[UUID], because: str, options: CommandOptions
) -> None:
    reason = why(options)
    with desk(options.operator) as operator:
        _confirm_refund(operator, payment_id, amount_minor, ticket_ids, options)
        wish = RefundActions(operator).create(
            payment_id, amount_minor=amount_minor, ticket_ids=ticket_ids, reason=because, note=reason
        )
        _tell_answer(operator, wish, options)


def _confirm_refund(
    operator: Operator, payment_id: UUID, amount_minor: int | None, ticket_ids: Sequence[UUID], options: CommandOptions
) -> None:
    with operator.db.ops_transaction() as tx:
        refundable = refund_views.standing(tx, payment_id)
        priced = refund_views.price_of_tickets(tx, refundable, ticket_ids) if refundable and ticket_ids else None
    if refundable is None:
        raise LeaveError(REFUSED, f"There is no payment {payment_id}.")
    if refundable.left_minor is None:
        question = f"No money was taken yet ({refundable.state}). Cancel the payment?"
    else:
        much = tables.money(amount_minor or priced or refundable.left_minor, refundable.currency)
        question = f"Give {much} of {tables.money(refundable.left_minor, refundable.currency)} back to the buyer?"
    confirm(question, "Nothing was given back.", options)


@troubles()
def retry_refund(refund_id: UUID, options: CommandOptions) -> None:
    reason = why(options)
    with desk(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            refund = refund_views.by_name(tx, str(refund_id))
        if refund is None:
            raise LeaveError(REFUSED, f"There is no refund {refund_id}.")
        much = tables.money(refund.amount_minor, refund.currency)
        confirm(f"Give {much} back again, as a new refund?", "Nothing was given back.", options)
        _tell_answer(operator, RefundActions(operator).retry(refund_id, note=reason), options)


def _tell_answer(operator: Operator, wish: RefundOrder, options: CommandOptions) -> None:
    """Wait for the worker. Raises LeaveError: it waits for a second person, or was refused."""
    if wish.state == "awaiting_approval":
        if options.as_json:
            print_json(record(wish))
        sentence = f"It moves more than one person may decide. Somebody else: fleet refunds approve {wish.request_id}"
        raise LeaveError(WAITS_FOR_APPROVAL, sentence)
    answered = follow(
        lambda: _reread(operator, wish.request_id),
        title="asking",
        count=lambda refund_order: (int(refund_order.state != "asked"), 1),
        ended=lambda refund_order: refund_order.state != "asked",
        patience_seconds=options.patience_seconds,
        standing_still=lambda _: (
            "No worker has taken it yet: `fleet queues` shows who listens to `replays`. Nothing is lost; "
            f"`fleet refunds show {wish.request_id}` shows what becomes of it."
        ),
    )
    document = record(answered)
    if answered.state == "refused":
        if options.as_json:
            print_json(document)
        raise LeaveError(REFUSED, f"Refused: {answered.state_reason}.")
    if answered.refund_id is None:
        told(document, f"Done: {answered.state_reason}.", options)
    else:
        told(document, f"Granted; see how it goes: fleet refunds show {answered.refund_id}", options)


def _reread(operator: Operator, request_id: UUID) -> RefundOrder:
    with operator.db.ops_transaction() as tx:
        refund_order = refund_requests.get(tx, request_id)
    assert refund_order is not None, "requests are never deleted, and this one was written by this command"
    return refund_order


@troubles()
def approve(name: UUID, options: CommandOptions) -> None:
    with desk(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            wish = refund_requests.get(tx, name)
        if wish is not None:
            said().print(plain(f"{wish.created_by}, because: {wish.note}"))
        confirm("Let it go on?", "Not approved.", options)
        approved = RefundActions(operator).approve(name)
    told(record(approved), "Approved.", options)


@troubles()
def withdraw(request_id: UUID, options: CommandOptions) -> None:
    with desk(options.operator) as operator:
        RefundActions(operator).withdraw(request_id, reason=why(options))
    told({"request_id": request_id, "state": "withdrawn"}, "Withdrawn; nothing was given back.", options)


@troubles()
def cancel_event(
    event_id: UUID, tenant_id: UUID | None, rate: int, options: CommandOptions, *, despite_balance: bool, watch: bool
) -> None:
    reason = why(options)
    with desk(options.operator) as operator:
        room = RefundActions(operator)
        sales = room.sales(event_id, tenant_id)
        confirm(_question(sales), "The event is not cancelled.", options)
        run = room.cancel_event(event_id, tenant_id, note=reason, rate_per_second=rate, despite_balance=despite_balance)
        if run.state == "awaiting_approval":
            if options.as_json:
                print_json(record(run))
            sentence = (
                f"It moves more than one person may decide. Somebody else: fleet refunds approve {run.cancellation_id}"
            )
            raise LeaveError(WAITS_FOR_APPROVAL, sentence)
        if watch:
            run = refund_show.until_done(operator.db, run.cancellation_id, patience_seconds=options.patience_seconds)
            refund_show.print_run(operator.db, run, as_json=options.as_json)
            return
    told(record(run), f"Cancelled. Follow it: fleet refunds event-status {run.cancellation_id} --watch", options)


def _question(sales: Sequence[EventSales]) -> str:
    money = ", ".join(tables.money(sale.left_minor, sale.currency) for sale in sales)
    orders = sum(sale.orders for sale in sales)
    return f"Cancel this event of {sales[0].tenant}: {orders} orders, {money} to give back? It cannot be taken back."


@troubles()
def resume(cancellation_id: UUID, rate: int | None, options: CommandOptions, *, despite_balance: bool) -> None:
    with desk(options.operator) as operator:
        run = RefundActions(operator).resume(
            cancellation_id, reason=why(options), rate_per_second=rate, despite_balance=despite_balance
        )
    _tell_run(run, options)


@troubles()
def steer(verb: str, cancellation_id: UUID, options: CommandOptions) -> None:
    """`verb` is pause or stop."""
    reason = why(options)
    with desk(options.operator) as operator:
        if verb == "stop":
            confirm("Stop it for good? Those who were not taken yet keep no refund.", "It goes on.", options)
            run = RefundActions(operator).stop(cancellation_id, reason=reason)
        else:
            run = RefundActions(operator).pause(cancellation_id, reason=reason)
    _tell_run(run, options)


def _tell_run(run: MassRefund, options: CommandOptions) -> None:
    told(record(run), f"It is {run.state}, at {run.taken} of {run.total} orders.", options)
