"""Group payments over the API: translates into outbox/requests/groups.py.

A buyer may read the groups it is a member of, pay its own share, and top up groups that it organises.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from db.groups import contributions
from db.groups import groups as group_groups
from db.groups.contributions import Contribution
from db.groups.groups import Group
from db.groups.states import SECURED
from db.payments.views import of_payment
from db.session import Tx
from messages.groups import GroupOpened, GroupSharePaidWith, GroupToppedUp
from messages.ids import PaymentId
from messages.money import Money
from messages.runtime.redaction import redact_text
from outbox.intake.api import schemas
from outbox.intake.api.callers import Permission
from outbox.intake.api.idempotency import StoredAnswer
from outbox.intake.api.payments import ApiRequest, answer
from outbox.requests import groups
from outbox.requests.orders import ContradictoryOrder, UnacceptableOrder
from outbox.requests.refusals import RefusedError
from outbox.web.problem_codes import ProblemCode, of_request_error
from outbox.web.problem_details import Problem


def open_group(tx: Tx, asked: ApiRequest) -> StoredAnswer:
    """Accept the group and invite its members. Repeating the same group changes nothing."""
    request: schemas.GroupRequest = asked.body
    organiser = next(member for member in request.members if member.member_id == request.organiser_id)
    if not asked.caller.reaches(asked.permission, venue_id=request.venue_id, buyer_id=organiser.buyer_id):
        raise Problem(ProblemCode.ACCESS_DENIED, "the token does not permit groups for this venue and organiser")
    venues_own = asked.caller.reaches(asked.permission, venue_id=request.venue_id, buyer_id="")
    opening = GroupOpened(**dict(request), tenant_id=asked.caller.tenant_id)
    try:
        groups.open_group(tx, opening, told_by=asked.request_key, by=asked.by, may_set_limit=venues_own)
    except RefusedError as error:
        raise Problem(of_request_error(error.code), str(error)) from None
    except ContradictoryOrder:
        detail = "a different group with this group_id exists; it is unchanged"
        raise Problem(ProblemCode.GROUP_CONFLICT, detail) from None
    except UnacceptableOrder as error:
        raise Problem(ProblemCode.GROUP_REJECTED, str(error)) from None
    return _accepted(tx, request.group_id, location=f"/groups/{request.group_id}")


def show(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Return the group with its members and state transitions."""
    group, shares = _reached(tx, request, lambda _group, _share: True)
    secured = sum(share.share_minor for share in shares if share.state in SECURED)
    return answer(
        200,
        schemas.GroupView(
            group_id=group.group_id,
            venue_id=group.venue_id,
            event_id=group.event_id,
            organiser_id=group.organiser_id,
            state=group.state,
            reason=group.state_reason,
            amount=group.amount,
            secured=Money(secured, group.currency),
            deadline=group.deadline,
            members=tuple(_view_of(share, group.currency) for share in shares),
            created_at=group.created_at,
            history=tuple(
                schemas.GroupChange(at=at, state=state, reason=reason)
                for at, state, reason in group_groups.moves_of(tx, group.group_id)
            ),
        ),
    )


def pay_share(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Authorize the payment of a member's share; it is captured once every member has paid."""
    group, shares = _reached(tx, request, lambda _, share: share.member_id == request.member_id)
    share = next((contribution for contribution in shares if contribution.member_id == request.member_id), None)
    if share is None:
        raise Problem(ProblemCode.MEMBER_NOT_FOUND, f"the group has no member {request.member_id}")
    method: schemas.SharePaymentRequest = request.body
    share_payment = GroupSharePaidWith(
        **dict(method),
        group_id=group.group_id,
        tenant_id=group.tenant_id,
        member_id=share.member_id,
        buyer_id=share.buyer_id,
        idempotency_key=request.request_key,
    )
    with _refused_requests_as_problems():
        begun = groups.pay_share(tx, share_payment, by=request.by)
    return _payment(tx, begun.payment_id)


def top_up(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Authorize one payment by the organiser for all shares that are neither paid nor being paid."""
    group, _ = _reached(tx, request, lambda group, share: share.member_id == group.organiser_id)
    method: schemas.SharePaymentRequest = request.body
    top_up_request = GroupToppedUp(
        **dict(method), group_id=group.group_id, tenant_id=group.tenant_id, idempotency_key=request.request_key
    )
    with _refused_requests_as_problems():
        begun = groups.top_up(tx, top_up_request, by=request.by)
    return _payment(tx, begun.payment_id)


def cancel(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Cancel the group. Canceling a settled group refunds every share, which requires `payments:refund`."""
    group, _ = _reached(tx, request, lambda _group, _share: False)
    body: schemas.GroupCancelRequest = request.body
    may_refund = request.caller.reaches(Permission.REFUND, venue_id=group.venue_id, buyer_id="")
    reason = redact_text(body.note) or "requested_by_customer"
    with _refused_requests_as_problems():
        groups.call_off(tx, group.group_id, reason=reason, by=request.by, may_refund=may_refund)
    return _accepted(tx, group.group_id)


def _reached(
    tx: Tx, request: ApiRequest, is_theirs: Callable[[Group, Contribution], bool]
) -> tuple[Group, list[Contribution]]:
    """The group, if the caller may access its venue, or is the buyer of a share for which `is_theirs` is true.

    Raises:
        Problem: 404, the group does not exist, or the caller may not access it.
    """
    assert request.group_id is not None, "the route has it in its path"
    group = group_groups.get(tx, request.group_id)
    if group is not None:
        shares = contributions.of_group(tx, group.group_id)
        buyers = ["", *(share.buyer_id for share in shares if is_theirs(group, share))]
        if any(request.caller.reaches(request.permission, venue_id=group.venue_id, buyer_id=buyer) for buyer in buyers):
            return group, shares
    raise Problem(ProblemCode.GROUP_NOT_FOUND, f"there is no group {request.group_id}")


def _view_of(share: Contribution, currency: str) -> schemas.MemberView:
    return schemas.MemberView(
        member_id=share.member_id,
        buyer_id=share.buyer_id,
        share=Money(share.share_minor, currency),
        state=share.state,
        reason=share.state_reason,
        since=share.state_since,
        payment_id=share.payment_id,
    )


def _accepted(tx: Tx, group_id: UUID, *, location: str | None = None) -> StoredAnswer:
    group = group_groups.get(tx, group_id)
    assert group is not None, "it was written or read a moment ago"
    return answer(202, schemas.GroupAccepted(group_id=group_id, state=group.state), location=location)


def _payment(tx: Tx, payment_id: PaymentId) -> StoredAnswer:
    payment = of_payment(tx, payment_id)
    assert payment is not None, "it was begun in this transaction, or an earlier one"
    payment_accepted = schemas.PaymentAccepted(payment_id=payment_id, order_id=payment.order_id, state=payment.state)
    return answer(202, payment_accepted, location=f"/payments/{payment_id}")


@contextmanager
def _refused_requests_as_problems() -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        raise Problem(of_request_error(error.code), str(error)) from None
    except UnacceptableOrder as error:
        raise Problem(ProblemCode.SHARE_REJECTED, str(error)) from None
