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
    payment_id: UUID, amount_minor: int | None, ticket_ids: Sequence[UUID], because: str, how: CommandOptions
) -> None:
    reason = why(how)
    with desk(how.operator) as at:
        _confirm_refund(at, payment_id, amount_minor, ticket_ids, how)
        wish = RefundActions(at).create(
            payment_id, amount_minor=amount_minor, ticket_ids=ticket_ids, reason=because, note=reason
        )
        _tell_answer(at, wish, how)


def _confirm_refund(
    at: Operator, payment_id: UUID, amount_minor: int | None, ticket_ids: Sequence[UUID], how: CommandOptions
) -> None:
    with at.db.ops_transaction() as tx:
        of = refund_views.standing(tx, payment_id)
        priced = refund_views.price_of_tickets(tx, of, ticket_ids) if of and ticket_ids else None
    if of is None:
        raise LeaveError(REFUSED, f"There is no payment {payment_id}.")
    if of.left_minor is None:
        question = f"No money was taken yet ({of.state}). Cancel the payment?"
    else:
        much = tables.money(amount_minor or priced or of.left_minor, of.currency)
        question = f"Give {much} of {tables.money(of.left_minor, of.currency)} back to the buyer?"
    confirm(question, "Nothing was given back.", how)


@troubles()
def retry_refund(refund_id: UUID, how: CommandOptions) -> None:
    reason = why(how)
    with desk(how.operator) as at:
        with at.db.ops_transaction() as tx:
            refund = refund_views.by_name(tx, str(refund_id))
        if refund is None:
            raise LeaveError(REFUSED, f"There is no refund {refund_id}.")
        much = tables.money(refund.amount_minor, refund.currency)
        confirm(f"Give {much} back again, as a new refund?", "Nothing was given back.", how)
        _tell_answer(at, RefundActions(at).retry(refund_id, note=reason), how)


def _tell_answer(at: Operator, wish: RefundOrder, how: CommandOptions) -> None:
    """Wait for the worker. Raises LeaveError: it waits for a second person, or was refused."""
    if wish.state == "awaiting_approval":
        if how.as_json:
            print_json(record(wish))
        sentence = f"It moves more than one person may decide. Somebody else: fleet refunds approve {wish.request_id}"
        raise LeaveError(WAITS_FOR_APPROVAL, sentence)
    answered = follow(
        lambda: _reread(at, wish.request_id),
        title="asking",
        count=lambda one: (int(one.state != "asked"), 1),
        ended=lambda one: one.state != "asked",
        patience_seconds=how.patience_seconds,
        standing_still=lambda _: (
            "No worker has taken it yet: `fleet queues` shows who listens to `replays`. Nothing is lost; "
            f"`fleet refunds show {wish.request_id}` shows what becomes of it."
        ),
    )
    document = record(answered)
    if answered.state == "refused":
        if how.as_json:
            print_json(document)
        raise LeaveError(REFUSED, f"Refused: {answered.state_reason}.")
    if answered.refund_id is None:
        told(document, f"Done: {answered.state_reason}.", how)
    else:
        told(document, f"Granted; see how it goes: fleet refunds show {answered.refund_id}", how)


def _reread(at: Operator, request_id: UUID) -> RefundOrder:
    with at.db.ops_transaction() as tx:
        found = refund_requests.get(tx, request_id)
    assert found is not None, "requests are never deleted, and this one was written by this command"
    return found


@troubles()
def approve(name: UUID, how: CommandOptions) -> None:
    with desk(how.operator) as at:
        with at.db.ops_transaction() as tx:
            wish = refund_requests.get(tx, name)
        if wish is not None:
            said().print(plain(f"{wish.created_by}, because: {wish.note}"))
        confirm("Let it go on?", "Not approved.", how)
        approved = RefundActions(at).approve(name)
    told(record(approved), "Approved.", how)


@troubles()
def withdraw(request_id: UUID, how: CommandOptions) -> None:
    with desk(how.operator) as at:
        RefundActions(at).withdraw(request_id, reason=why(how))
    told({"request_id": request_id, "state": "withdrawn"}, "Withdrawn; nothing was given back.", how)


@troubles()
def cancel_event(
    event_id: UUID, tenant_id: UUID | None, rate: int, how: CommandOptions, *, despite_balance: bool, watch: bool
) -> None:
    reason = why(how)
    with desk(how.operator) as at:
        room = RefundActions(at)
        sales = room.sales(event_id, tenant_id)
        confirm(_question(sales), "The event is not cancelled.", how)
        run = room.cancel_event(event_id, tenant_id, note=reason, rate_per_second=rate, despite_balance=despite_balance)
        if run.state == "awaiting_approval":
            if how.as_json:
                print_json(record(run))
            sentence = (
                f"It moves more than one person may decide. Somebody else: fleet refunds approve {run.cancellation_id}"
            )
            raise LeaveError(WAITS_FOR_APPROVAL, sentence)
        if watch:
            run = refund_show.until_done(at.db, run.cancellation_id, patience_seconds=how.patience_seconds)
            refund_show.print_run(at.db, run, as_json=how.as_json)
            return
    told(record(run), f"Cancelled. Follow it: fleet refunds event-status {run.cancellation_id} --watch", how)


def _question(sales: Sequence[EventSales]) -> str:
    money = ", ".join(tables.money(sale.left_minor, sale.currency) for sale in sales)
    orders = sum(sale.orders for sale in sales)
    return f"Cancel this event of {sales[0].tenant}: {orders} orders, {money} to give back? It cannot be taken back."


@troubles()
def resume(cancellation_id: UUID, rate: int | None, how: CommandOptions, *, despite_balance: bool) -> None:
    with desk(how.operator) as at:
        run = RefundActions(at).resume(
            cancellation_id, reason=why(how), rate_per_second=rate, despite_balance=despite_balance
        )
    _tell_run(run, how)


@troubles()
def steer(verb: str, cancellation_id: UUID, how: CommandOptions) -> None:
    """`verb` is pause or stop."""
    reason = why(how)
    with desk(how.operator) as at:
        if verb == "stop":
            confirm("Stop it for good? Those who were not taken yet keep no refund.", "It goes on.", how)
            run = RefundActions(at).stop(cancellation_id, reason=reason)
        else:
            run = RefundActions(at).pause(cancellation_id, reason=reason)
    _tell_run(run, how)


def _tell_run(run: MassRefund, how: CommandOptions) -> None:
    told(record(run), f"It is {run.state}, at {run.taken} of {run.total} orders.", how)
