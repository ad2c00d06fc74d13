"""group: look at how everything stands -> move members and group -> ask for what follows.

One transaction with the group's row locked, and no outside call: shares are charged, captured, cancelled and refunded
by the workers who do that for every payment. This one only decides when, and it decides from how the payments stand,
not from what is said to have happened. So a second delivery, a lost one, or two in the wrong order come to the same:
the last look sees everything. Who was first, the last share or the deadline, is decided by who gets the row.

    open                 invite again who was declined, remind, capture what would end before the deadline
    complete             capture every hold; when all are captured it is settled, when one is lost it is called off
    expired, canceled    release and give back every payment that was ever begun; then it is voided
"""

from collections import defaultdict
from collections.abc import Sequence

from loguru import logger

from db.groups import contributions, groups
from db.groups.contributions import Contribution, ContributionPayment
from db.groups.groups import Group
from db.groups.states import ENDING_GROUPS, MISSING, SECURED, GroupState, MemberState
from db.session import Database, Tx
from messages.groups import (
    GroupCancelDue,
    GroupCompleted,
    GroupDue,
    GroupMemberPaid,
    GroupMemberRefunded,
    GroupReminderDue,
    GroupVoided,
)
from messages.ids import PaymentId
from messages.money import Money
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp
from outbox.append import append
from outbox.process.metrics import GROUP_SHARES, GROUPS
from outbox.requests.captures import request_capture
from outbox.requests.group_moves import call_off, end_group, invite
from outbox.requests.refunds import give_everything_back
from outbox.requests.refusals import RefusedError
from workers.rules.groups import ContributionStatus, capture_at, group_move, member_state
from workers.runtime.actor import actor

BY = "group"


@actor(GroupDue)
def group(msg: GroupDue, db: Database) -> None:
    with db.transaction(msg.tenant_id) as tx:
        found = _locked(tx, msg)
        while _moved(tx, found):
            found = _locked(tx, msg)
        _ask(tx, found)
        crash_point("group.before_commit")
    crash_point("group.after_commit")


@actor(GroupCancelDue)
def cancel_group(msg: GroupCancelDue, db: Database) -> None:
    """An operator's wish; what was settled meanwhile is a matter of refunds, which want their own approval."""
    with db.transaction(msg.tenant_id) as tx:
        found = _locked(tx, msg)
        if found.state is GroupState.SETTLED:
            logger.warning("group was settled before it could be canceled; refund its shares instead")
        else:
            call_off(tx, found, reason=msg.reason, by=msg.by)
        crash_point("cancel_group.before_commit")


def _locked(tx: Tx, msg: GroupDue | GroupCancelDue) -> Group:
    found = groups.lock(tx, msg.group_id)
    if found is None:
        raise GiveUp(f"tenant {msg.tenant_id} has no group {msg.group_id}")
    return found


def _moved(tx: Tx, of: Group) -> bool:
    """Bring members and group to where they belong; True when the group moved, so that one must look again."""
    _move_members(tx, of)
    shares = contributions.of_group(tx, of.group_id)
    move = group_move(
        of.state.value,
        [share.state.value for share in shares],
        is_over=of.is_over,
        event_is_off=of.event_is_off,
        all_over=of.state in ENDING_GROUPS
        and all(contribution_payment.is_over for contribution_payment in contributions.attempts(tx, of.group_id)),
    )
    if move is None:
        return False
    state = GroupState(move.state)
    if state in ENDING_GROUPS:
        end_group(tx, of, state, reason=move.reason or "", by=BY)
        return True
    groups.move(tx, of, state, reason=move.reason, by=BY)
    GROUPS.labels(state.value).inc()
    if state is GroupState.SETTLED:
        payment_ids = tuple(dict.fromkeys(share.payment_id for share in shares if share.payment_id is not None))
        append(
            tx,
            GroupCompleted(tenant_id=of.tenant_id, group_id=of.group_id, amount=of.amount, payment_ids=payment_ids),
        )
    elif state is GroupState.VOIDED:
        append(tx, GroupVoided(tenant_id=of.tenant_id, group_id=of.group_id))
    logger.info("group of {} became {}", of.amount, state.value)
    return True


def _move_members(tx: Tx, of: Group) -> None:
    shares = contributions.of_group(tx, of.group_id)
    moves: dict[tuple[MemberState, str | None], list[Contribution]] = defaultdict(list)
    for share in shares:
        state, reason = member_state(of.state.value, share.state.value, _stands(share))
        if state != share.state.value:
            moves[MemberState(state), reason].append(share)
    missing = sum(share.state not in SECURED for share in shares)
    for (state, reason), moving in moves.items():
        groups.move_members(tx, of.group_id, [share.member_id for share in moving], state, reason=reason, by=BY)
        GROUP_SHARES.labels(state.value).inc(len(moving))
        for share in moving:
            missing -= state in SECURED and share.state not in SECURED
            _tell(tx, of, share, state, reason, missing)


def _stands(share: Contribution) -> ContributionStatus | None:
    if share.payment_state is None:
        return None
    return ContributionStatus(share.payment_state.value, share.payment_reason, share.cancel_is_asked, share.given_back)


def _tell(tx: Tx, of: Group, share: Contribution, state: MemberState, reason: str | None, missing: int) -> None:
    """What others hear of a member's move; that a hold was captured is told by the payment."""
    if state in SECURED and share.state not in SECURED and of.state is GroupState.OPEN:
        append(tx, GroupMemberPaid(**_facts(of, share), held=state is MemberState.HELD, missing=missing))
        _wake_before_hold_ends(tx, of, share)
        logger.info(
            "share of {} became {}, {} shares unpaid", Money(share.share_minor, of.currency), state.value, missing
        )
    elif state is MemberState.FAILED and of.state is GroupState.OPEN and not of.is_over:
        invite(tx, of, [share], again=reason)
        logger.info("share failed ({}): member invited again", reason)
    elif state is MemberState.REFUNDED:
        append(tx, GroupMemberRefunded(**_facts(of, share)))


def _facts(of: Group, share: Contribution) -> dict[str, object]:
    return {
        "tenant_id": of.tenant_id,
        "group_id": of.group_id,
        "member_id": share.member_id,
        "buyer_id": share.buyer_id,
        "share": Money(share.share_minor, of.currency),
        "payment_id": share.payment_id,
    }


def _wake_before_hold_ends(tx: Tx, of: Group, share: Contribution) -> None:
    moment = capture_at(share.capture_before, of.deadline)
    if moment is not None:
        append(tx, GroupDue(tenant_id=of.tenant_id, group_id=of.group_id), not_before=moment)


def _ask(tx: Tx, of: Group) -> None:
    """Ask for what follows from where everybody stands now."""
    if of.state is GroupState.OPEN:
        shares = contributions.of_group(tx, of.group_id)
        _remind(tx, of, shares)
        _capture(tx, [share for share in shares if _hold_ends_too_soon(of, share)])
    elif of.state is GroupState.COMPLETE:
        _capture(tx, contributions.of_group(tx, of.group_id))
    elif of.state in ENDING_GROUPS:
        for attempt in contributions.attempts(tx, of.group_id):
            if not attempt.is_over:
                _give_back(tx, of, attempt)


def _remind(tx: Tx, of: Group, shares: Sequence[Contribution]) -> None:
    if not groups.take_due_reminders(tx, of):
        return
    missing = [share for share in shares if share.state in MISSING or share.state is MemberState.PAYING]
    for share in missing:
        facts = _facts(of, share)
        facts.pop("payment_id")
        append(tx, GroupReminderDue(**facts, deadline=of.deadline))
    logger.info("reminded {} members", len(missing))


def _hold_ends_too_soon(of: Group, share: Contribution) -> bool:
    moment = capture_at(share.capture_before, of.deadline)
    return moment is not None and moment <= of.now


def _capture(tx: Tx, shares: Sequence[Contribution]) -> None:
    """Have holds captured, each payment once: a top-up pays several shares."""
    payment_ids = {
        share.payment_id for share in shares if share.state is MemberState.HELD and not share.capture_is_asked
    }
    for payment_id in sorted(one for one in payment_ids if one is not None):
        _capture_one(tx, payment_id)


def _capture_one(tx: Tx, payment_id: PaymentId) -> None:
    try:
        request_capture(tx, payment_id=payment_id)
    except RefusedError as error:  # it moved a moment ago, and whoever moved it has woken the group again
        logger.info("share not captured: {}", error)


def _give_back(tx: Tx, of: Group, attempt: ContributionPayment) -> None:
    """Release it, or give it back. Asked for once: what was asked for is carried out by others, and by the sweep."""
    if attempt.cancel_is_asked:
        return
    try:
        give_everything_back(
            tx,
            payment_id=attempt.payment_id,
            reason="order_cancelled",
            note=f"group: {of.state_reason}",
            source="group",
            request_key=f"group:{of.group_id}:{attempt.payment_id}",
            by=BY,
        )
    except RefusedError as error:  # a chargeback has the money; a person sees the dispute
        logger.error("share cannot be refunded: {}", error)
