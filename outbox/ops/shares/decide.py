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
def ask(what: str, payment_id: UUID, options: CommandOptions) -> None:
    """`what` is release or hold."""
    reason = why(options)
    with desk(options.operator) as operator:
        question = "Let the shares of this payment go?" if what == "release" else "Keep the shares of this payment?"
        confirm(question, "Nothing was changed.", options)
        wishes = EscrowActions(operator)
        wish = (wishes.release if what == "release" else wishes.hold)(payment_id, note=reason)
        if wish.state == "awaiting_approval":
            if options.as_json:
                print_json(record(wish))
            much = tables.money(wish.amount_minor, wish.currency)
            raise LeaveError(
                WAITS_FOR_APPROVAL,
                f"{much} is more than one person may decide. Somebody else: fleet escrow approve {wish.wish_id}",
            )
        _tell_answer(operator, wish, options)


@troubles()
def approve(wish_id: UUID, options: CommandOptions) -> None:
    with desk(options.operator) as operator:
        with operator.db.ops_transaction() as tx:
            wish = release_requests.get(tx, wish_id)
        if wish is None:
            raise LeaveError(REFUSED, f"There is no wish {wish_id}.")
        much = tables.money(wish.amount_minor, wish.currency)
        confirm(f"Let {much} of payment {wish.payment_id} leave escrow?", "Nothing was changed.", options)
        _tell_answer(operator, EscrowActions(operator).approve(wish_id), options)


@troubles()
def withdraw(wish_id: UUID, options: CommandOptions) -> None:
    reason = why(options)
    with desk(options.operator) as operator:
        EscrowActions(operator).withdraw(wish_id, reason=reason)
        told({"wish_id": str(wish_id), "state": "withdrawn"}, "Withdrawn. Nothing was changed.", options)


def _tell_answer(operator: Operator, wish: EscrowRequest, options: CommandOptions) -> None:
    """Wait for the worker. Raises LeaveError when it refuses."""
    answered = follow(
        lambda: _reread(operator, wish.wish_id),
        title="asking",
        count=lambda escrow_request: (int(escrow_request.state != "asked"), 1),
        ended=lambda escrow_request: escrow_request.state != "asked",
        patience_seconds=options.patience_seconds,
        standing_still=lambda _: (
            "No worker has taken it yet: `fleet queues` shows who listens to `replays`. Nothing is lost; "
            f"`fleet escrow show {wish.payment_id}` shows what becomes of it."
        ),
    )
    document = record(answered)
    if answered.state == "refused":
        if options.as_json:
            print_json(document)
        raise LeaveError(REFUSED, f"Refused: {answered.state_reason}.")
    done = "Released" if answered.what == "release" else "Held"
    told(document, f"{done}; see how it goes: fleet escrow show {wish.payment_id}", options)


def _reread(operator: Operator, wish_id: UUID) -> EscrowRequest:
    with operator.db.ops_transaction() as tx:
        wish = release_requests.get(tx, wish_id)
    assert wish is not None, "wishes are never deleted"
    return wish
