"""What operators decide about escrow. Money moves only after a confirmation or --yes."""

from uuid import UUID

from db.operators import release_requests
from db.operators.release_requests import EscrowRequest
from outbox.ops.dead_letters import tables
from outbox.ops.dead_letters.actions import Operator
from outbox.ops.dead_letters.decide import CommandOptions, confirm, told, why
from outbox.ops.dead_letters.progress import follow
from outbox.ops.output import print_json, record
from outbox.ops.session import REFUSED, WAITS_FOR_APPROVAL, LeaveError, desk, troubles
from outbox.ops.shares.actions import EscrowActions


@troubles()
def ask(what: str, payment_id: UUID, how: CommandOptions) -> None:
    """`what` is release or hold."""
    reason = why(how)
    with desk(how.operator) as at:
        question = "Let the shares of this payment go?" if what == "release" else "Keep the shares of this payment?"
        confirm(question, "Nothing was changed.", how)
        wishes = EscrowActions(at)
        wish = (wishes.release if what == "release" else wishes.hold)(payment_id, note=reason)
        if wish.state == "awaiting_approval":
            if how.as_json:
                print_json(record(wish))
            much = tables.money(wish.amount_minor, wish.currency)
            raise LeaveError(
                WAITS_FOR_APPROVAL,
                f"{much} is more than one person may decide. Somebody else: fleet escrow approve {wish.wish_id}",
            )
        _tell_answer(at, wish, how)


@troubles()
def approve(wish_id: UUID, how: CommandOptions) -> None:
    with desk(how.operator) as at:
        with at.db.ops_transaction() as tx:
            wish = release_requests.get(tx, wish_id)
        if wish is None:
            raise LeaveError(REFUSED, f"There is no wish {wish_id}.")
        much = tables.money(wish.amount_minor, wish.currency)
        confirm(f"Let {much} of payment {wish.payment_id} leave escrow?", "Nothing was changed.", how)
        _tell_answer(at, EscrowActions(at).approve(wish_id), how)


@troubles()
def withdraw(wish_id: UUID, how: CommandOptions) -> None:
    reason = why(how)
    with desk(how.operator) as at:
        EscrowActions(at).withdraw(wish_id, reason=reason)
        told({"wish_id": str(wish_id), "state": "withdrawn"}, "Withdrawn. Nothing was changed.", how)


def _tell_answer(at: Operator, wish: EscrowRequest, how: CommandOptions) -> None:
    """Wait for the worker. Raises LeaveError when it refuses."""
    answered = follow(
        lambda: _reread(at, wish.wish_id),
        title="asking",
        count=lambda one: (int(one.state != "asked"), 1),
        ended=lambda one: one.state != "asked",
        patience_seconds=how.patience_seconds,
        standing_still=lambda _: (
            "No worker has taken it yet: `fleet queues` shows who listens to `replays`. Nothing is lost; "
            f"`fleet escrow show {wish.payment_id}` shows what becomes of it."
        ),
    )
    document = record(answered)
    if answered.state == "refused":
        if how.as_json:
            print_json(document)
        raise LeaveError(REFUSED, f"Refused: {answered.state_reason}.")
    done = "Released" if answered.what == "release" else "Held"
    told(document, f"{done}; see how it goes: fleet escrow show {wish.payment_id}", how)


def _reread(at: Operator, wish_id: UUID) -> EscrowRequest:
    with at.db.ops_transaction() as tx:
        wish = release_requests.get(tx, wish_id)
    assert wish is not None, "wishes are never deleted"
    return wish
