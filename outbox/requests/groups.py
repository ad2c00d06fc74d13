"""Requests about groups, whoever makes them: open one, pay a share, top it up, cancel it.

Each is one transaction, the caller's, with the group's row locked: of two who come at once, the second sees what the
first has done. A share becomes an order of its own, taken by the same code as every order (orders.py). Harmless twice:
the group's id and the buyer's key are unique, and the same request again changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from loguru import logger

from db.groups import contributions, groups
from db.groups.contributions import Contribution, ContributionPayment
from db.groups.groups import Group
from db.groups.states import MISSING, SECURED, GroupState, MemberState
from db.payments import payments, purchase_limits
from db.payments.states import PaymentState
from db.queue import outbox
from db.session import Tx
from messages.group_allocation import lines_of_shares, together
from messages.groups import GroupDue, GroupOpened, GroupSharePaidWith, GroupToppedUp, PaymentMeans, share_order_id
from messages.ids import PaymentId
from messages.money import LARGEST_MINOR, Money
from messages.orders import OrderPlaced, Ticket
from messages.runtime import trace
from outbox.append import append
from outbox.process.metrics import GROUPS
from outbox.requests import group_moves
from outbox.requests.cancellations import request_cancellation
from outbox.requests.event_schedule import note_when_events_end
from outbox.requests.orders import (
    ContradictoryOrder,
    OrderOutcome,
    OrderRequest,
    UnacceptableOrder,
    check_limits,
    check_venues,
    fingerprint_of,
    take,
)
from outbox.requests.refusals import RefusedError

SOURCE = "/payment-fleet/groups"
# A refund of a share that was captured early must still be possible after the deadline; card networks allow 180 days.
LONGEST = timedelta(days=120)
SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class ContributionStarted:
    """The payment that pays, or already paid, what was asked for."""

    payment_id: PaymentId
    new: bool


def open_group(tx: Tx, opening: GroupOpened, *, told_by: str, by: str, may_set_limit: bool = True) -> OrderOutcome:
    """Write the group down and have its members invited. A group of a cancelled event is cancelled at once.

    `may_set_limit`: whoever opens it speaks for the venue, because the limit holds for every buyer of the event.

    Raises:
        RefusedError: a limit of tickets, from somebody who may not set one.
        UnacceptableOrder: unknown tenant or venue, another currency, a deadline that is over or too far, or a buyer
            that would have more tickets than it may.
        ContradictoryOrder: another group is known by this id.
    """
    if opening.tickets_per_buyer is not None and not may_set_limit:
        raise RefusedError("only the venue sets how many tickets a buyer may have", code="out_of_reach")
    fingerprint = fingerprint_of(opening)
    known = groups.get(tx, opening.group_id)
    if known is None:
        check_venues(tx, [opening])
        _check_deadline(tx, opening)
    if known is not None or not groups.open_group(tx, opening, told_by=told_by, fingerprint=fingerprint, by=by):
        return _repetition(tx, opening.group_id, fingerprint)
    if opening.tickets_per_buyer is not None:
        purchase_limits.set_limit(tx, opening.event_id, opening.tickets_per_buyer)
    note_when_events_end(tx, [opening])
    check_limits(tx, [(opening.event_id, member.buyer_id) for member in opening.members])
    group = _locked(tx, opening.group_id)
    GROUPS.labels(group.state.value).inc()
    logger.info("opened a group of {} members for {}", len(opening.members), opening.amount)
    if group.event_is_off:
        group_moves.call_off(tx, group, reason="event_cancelled", by=by)
        return OrderOutcome.ACCEPTED
    group_moves.invite(tx, group, contributions.of_group(tx, group.group_id))
    for moment in sorted({*opening.remind_at, opening.deadline}):
        append(tx, GroupDue(tenant_id=group.tenant_id, group_id=group.group_id), not_before=moment)
    return OrderOutcome.ACCEPTED


def pay_share(tx: Tx, request: GroupSharePaidWith, *, by: str) -> ContributionStarted:
    """Have a member's share paid.

    Raises:
        RefusedError: the group or the member is unknown, the group is over, or the share is being paid already.
        ContradictoryOrder: this key paid with other means before.
        psycopg.errors.UniqueViolation: the buyer's idempotency key already paid for another order.
    """
    group = _locked(tx, request.group_id)
    attempts = contributions.attempts(tx, group.group_id)
    if (before := _same_click(attempts, request.idempotency_key, fingerprint_of(request))) is not None:
        return ContributionStarted(before.payment_id, new=False)
    _require_open(group)
    shares = contributions.of_group(tx, group.group_id)
    share = next((contribution for contribution in shares if contribution.member_id == request.member_id), None)
    if share is None or share.buyer_id != request.buyer_id:
        raise RefusedError(
            f"buyer {request.buyer_id} is not member {request.member_id} of the group", code="member_unknown"
        )
    _require_payable(share, attempts)
    return _begin(
        tx, _Payer(group, shares, attempts, share, request, request.idempotency_key, by), "share", [share], request
    )


def top_up(tx: Tx, request: GroupToppedUp, *, by: str) -> ContributionStarted:
    """Have the organiser pay every share that nobody is paying; a payment that waits for its buyer is no paying.

    Raises:
        As `pay_share`; RefusedError also when nothing is missing.
    """
    group = _locked(tx, request.group_id)
    attempts = contributions.attempts(tx, group.group_id)
    if (before := _same_click(attempts, request.idempotency_key, fingerprint_of(request))) is not None:
        return ContributionStarted(before.payment_id, new=False)
    _require_open(group)
    shares = contributions.of_group(tx, group.group_id)
    missing = [share for share in shares if share.state in MISSING or _waits_for_buyer(share)]
    if not missing:
        raise RefusedError("every share is paid, or is being paid", code="nothing_missing")
    organiser = next(share for share in shares if share.member_id == group.organiser_id)
    payer = _Payer(group, shares, attempts, organiser, request, request.idempotency_key, by)
    return _begin(tx, payer, "top_up", missing, request)


def call_off(tx: Tx, group_id: UUID, *, reason: str, by: str, may_refund: bool = True) -> OrderOutcome:
    """Cancel the group. A settled group is refunded in full, so the caller must be allowed to refund.

    Raises:
        RefusedError: the group is unknown, or settled and the caller may not refund.
    """
    group = _locked(tx, group_id)
    if group.state is GroupState.SETTLED and not may_refund:
        said = "every share is captured; refunding them requires payments:refund"
        raise RefusedError(said, code="already_settled")
    called_off = group_moves.call_off(tx, group, reason=reason, by=by)
    return OrderOutcome.ACCEPTED if called_off else OrderOutcome.DUPLICATE


def _check_deadline(tx: Tx, opening: GroupOpened) -> None:
    now = outbox.clock(tx)
    if opening.deadline <= now:
        raise UnacceptableOrder(f"the deadline {opening.deadline.isoformat()} had passed when the group came")
    if opening.deadline > now + LONGEST:
        raise UnacceptableOrder(
            f"a group has at most {LONGEST.days} days; the deadline is {opening.deadline.isoformat()}"
        )


def _repetition(tx: Tx, group_id: UUID, fingerprint: bytes) -> OrderOutcome:
    group = groups.get(tx, group_id)
    assert group is not None, "its id was taken, and groups are never deleted"
    if group.fingerprint == fingerprint:
        return OrderOutcome.DUPLICATE
    raise ContradictoryOrder("this group id was seen before with another body; the first one stands")


def _locked(tx: Tx, group_id: UUID) -> Group:
    group = groups.lock(tx, group_id)
    if group is None:
        raise RefusedError(f"group {group_id} is unknown here; replay this once it has come", code="group_unknown")
    return group


def _same_click(attempts: Sequence[ContributionPayment], key: str, fingerprint: bytes) -> ContributionPayment | None:
    before = next(
        (contribution_payment for contribution_payment in attempts if contribution_payment.idempotency_key == key), None
    )
    if before is not None and before.fingerprint != fingerprint:
        raise ContradictoryOrder("this idempotency key was used for another payment of the group; the first one stands")
    return before


def _require_open(group: Group) -> None:
    if group.state is not GroupState.OPEN or group.event_is_off:
        said = "its event is cancelled" if group.event_is_off else f"the group is {group.state.value}"
        raise RefusedError(f"{said}; no share is taken any more", code="group_not_open")
    if group.is_over:
        raise RefusedError(f"the deadline {group.deadline.isoformat()} has passed", code="deadline_passed")


def _require_payable(share: Contribution, attempts: Sequence[ContributionPayment]) -> None:
    """A member may begin anew while its own last payment waits for it, but not instead of the organiser's."""
    if share.state in SECURED:
        raise RefusedError("the share is paid already", code="share_secured")
    if share.state is MemberState.PAYING:
        present = next(
            contribution_payment
            for contribution_payment in attempts
            if contribution_payment.payment_id == share.payment_id
        )
        if not _waits_for_buyer(share) or present.kind != "share":
            raise RefusedError("the share is being paid; wait for how that ends", code="share_being_paid")


def _waits_for_buyer(share: Contribution) -> bool:
    return share.state is MemberState.PAYING and share.payment_state is PaymentState.REQUIRES_ACTION


@dataclass(frozen=True, slots=True)
class _Payer:
    group: Group
    shares: Sequence[Contribution]
    attempts: Sequence[ContributionPayment]
    share: Contribution
    request: GroupSharePaidWith | GroupToppedUp
    key: str
    by: str


def _begin(
    tx: Tx, payer: _Payer, kind: str, covered: Sequence[Contribution], means: PaymentMeans
) -> ContributionStarted:
    """Take an order over the covered shares; earlier payments of these shares are cancelled."""
    group, attempt = payer.group, len(payer.attempts) + 1
    amount = Money(sum(share.share_minor for share in covered), group.currency)
    if amount.minor > LARGEST_MINOR:
        raise RefusedError(f"one payment takes at most {LARGEST_MINOR} minor units", code="too_much_at_once")
    order = OrderPlaced(
        order_id=share_order_id(group.group_id, attempt),
        tenant_id=group.tenant_id,
        venue_id=group.venue_id,
        event_id=group.event_id,
        tickets=_tickets(tx, payer, covered),
        amount=amount,
        payment_method_id=means.payment_method_id,
        customer_id=means.customer_id,
        capture=means.capture,
        buyer_id=payer.share.buyer_id,
        idempotency_key=payer.key,
    )
    name = f"{group.group_id}/{attempt}"
    offer = OrderRequest.of(order, source=SOURCE, source_id=name, trace_id=trace.current(), group_id=group.group_id)
    (outcome,) = take(tx, group.tenant_id, [offer], by=payer.by)
    assert outcome is OrderOutcome.ACCEPTED, "the attempt's number is new: the group is locked"
    superseded = {share.payment_id for share in covered if share.payment_id is not None}
    groups.let_pay(tx, group.group_id, [share.member_id for share in covered], offer.payment_id, by=payer.by)
    contributions.record_attempt(
        tx,
        group.group_id,
        attempt=attempt,
        payment_id=offer.payment_id,
        kind=kind,
        payer_id=payer.share.member_id,
        member_ids=[share.member_id for share in covered],
        idempotency_key=payer.key,
        fingerprint=fingerprint_of(payer.request),
    )
    for payment_id in sorted(superseded):
        _call_off_payment(tx, payment_id, payer.by)
    logger.info("started {} of {} for {} shares", kind.replace("_", "-"), amount, len(covered))
    return ContributionStarted(offer.payment_id, new=True)


def _tickets(tx: Tx, payer: _Payer, covered: Sequence[Contribution]) -> tuple[Ticket, ...]:
    tickets = [
        Ticket(ticket_id=held_ticket.ticket_id, face_price_minor=held_ticket.face_price_minor, seat=held_ticket.seat)
        for held_ticket in contributions.tickets(tx, payer.group.group_id)
    ]
    lines = lines_of_shares(tickets, [share.share_minor for share in payer.shares])
    wanted = {share.member_id for share in covered}
    return together([line for share, line in zip(payer.shares, lines, strict=True) if share.member_id in wanted])


def _call_off_payment(tx: Tx, payment_id: PaymentId, by: str) -> None:
    """Its intent may still be paid by another card, or be waiting for its buyer: another payment has its place now.
    Should its money come all the same, it is refunded automatically (workers/payments/settlement.py).
    """
    payment = payments.lock(tx, payment_id)
    assert payment is not None, "payments are never deleted"
    request_cancellation(tx, payment, reason=SUPERSEDED, by=by)
