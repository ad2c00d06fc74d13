"""Groups: what outbox/requests/groups.py does for every door, told in the words of this one.

A buyer reaches the groups it is a member of, pays its own share there, and tops up those that it organises.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from db.groups import contributions
from db.groups import groups as group_groups
from db.groups.contributions import Contribution
from db.groups.groups import Group
from db.lifecycle import SECURED, GroupState
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
from outbox.web.problem_details import Problem


def open_group(tx: Tx, asked: ApiRequest) -> StoredAnswer:
    """Write the group down and have its members invited; the same group again is the same group."""
    request: schemas.GroupRequest = asked.body
    organiser = next(member for member in request.members if member.member_id == request.organiser_id)
    if not asked.caller.reaches(asked.permission, venue_id=request.venue_id, buyer_id=organiser.buyer_id):
        raise Problem(403, "this token reaches neither that venue nor that organiser", code="out-of-reach")
    venues_own = asked.caller.reaches(asked.permission, venue_id=request.venue_id, buyer_id="")
    opening = GroupOpened(**dict(request), tenant_id=asked.caller.tenant_id)
    try:
        groups.open_group(tx, opening, told_by=asked.request_key, by=asked.by, may_set_limit=venues_own)
    except RefusedError as error:
        raise Problem(403, str(error), code="out-of-reach") from None
    except ContradictoryOrder:
        said = "another group is known by this group_id; the first one stands"
        raise Problem(409, said, code="group-contradicted") from None
    except UnacceptableOrder as error:
        raise Problem(422, str(error), code="group-refused") from None
    return _accepted(tx, request.group_id, location=f"/groups/{request.group_id}")


def show(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """How the group and each of its members stand, and how the group came there."""
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
                schemas.GroupChange(at=at, state=GroupState(state), reason=reason)
                for at, state, reason in group_groups.moves_of(tx, group.group_id)
            ),
        ),
    )


def pay_share(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Have a member's share paid: held until everybody has paid, and then captured."""
    group, shares = _reached(tx, request, lambda _, share: share.member_id == request.member_id)
    share = next((contribution for contribution in shares if contribution.member_id == request.member_id), None)
    if share is None:
        raise Problem(404, f"the group has no member {request.member_id}", code="member-unknown")
    means: schemas.ShareMeans = request.body
    wish = GroupSharePaidWith(
        **dict(means),
        group_id=group.group_id,
        tenant_id=group.tenant_id,
        member_id=share.member_id,
        buyer_id=share.buyer_id,
        idempotency_key=request.request_key,
    )
    with _refusals_told():
        begun = groups.pay_share(tx, wish, by=request.by)
    return _payment(tx, begun.payment_id)


def top_up(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Have the organiser pay every share that is missing, with one payment."""
    group, _ = _reached(tx, request, lambda group, share: share.member_id == group.organiser_id)
    means: schemas.ShareMeans = request.body
    wish = GroupToppedUp(
        **dict(means), group_id=group.group_id, tenant_id=group.tenant_id, idempotency_key=request.request_key
    )
    with _refusals_told():
        begun = groups.top_up(tx, wish, by=request.by)
    return _payment(tx, begun.payment_id)


def cancel(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Call the group off. One that is settled gives everything back, and for that a caller must be allowed refunds."""
    group, _ = _reached(tx, request, lambda _group, _share: False)
    body: schemas.GroupCancelAsked = request.body
    may_refund = request.caller.reaches(Permission.REFUND, venue_id=group.venue_id, buyer_id="")
    reason = redact_text(body.note) or "requested_by_customer"
    with _refusals_told():
        groups.call_off(tx, group.group_id, reason=reason, by=request.by, may_refund=may_refund)
    return _accepted(tx, group.group_id)


def _reached(
    tx: Tx, request: ApiRequest, is_theirs: Callable[[Group, Contribution], bool]
) -> tuple[Group, list[Contribution]]:
    """The group, when the caller reaches its venue, or is the buyer of a share that `is_theirs` lets in.

    Raises:
        Problem: 404 for a group that does not exist, or does not for this caller.
    """
    assert request.group_id is not None, "the route has it in its path"
    group = group_groups.get(tx, request.group_id)
    if group is not None:
        shares = contributions.of_group(tx, group.group_id)
        buyers = ["", *(share.buyer_id for share in shares if is_theirs(group, share))]
        if any(request.caller.reaches(request.permission, venue_id=group.venue_id, buyer_id=buyer) for buyer in buyers):
            return group, shares
    raise Problem(404, f"there is no group {request.group_id}", code="group-unknown")


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
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        raise Problem(409, str(error), code=error.code.replace("_", "-")) from None
    except UnacceptableOrder as error:
        raise Problem(422, str(error), code="share-refused") from None
