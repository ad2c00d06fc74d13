"""Operators' requests on the command line: what became of one, approving and withdrawing it, whatever its kind."""

from typing import Any, NoReturn
from uuid import UUID

from db.operators import requests
from db.operators.requests import OperatorRequest
from db.refunds.mass_refunds import MassRefund
from outbox.ops import output
from outbox.ops.output import plain, print_json, record, said
from outbox.ops.prompts import CommandOptions, confirm, follow, print_result, why
from outbox.ops.session import REFUSED, WAITS_FOR_APPROVAL, LeaveError, Operator, operator_session, troubles
from outbox.requests import approvals

# The group of commands that shows and approves a request of each kind, and the word for what was done.
_COMMANDS = {"refund": "refunds", "release": "escrow", "hold": "escrow"}
_DONE = {"refund": "Granted", "release": "Released", "hold": "Held"}


@troubles()
def approve(name: UUID, options: CommandOptions, *, wait: bool) -> None:
    """Approve a request or a mass refund by its id; `wait` for what the worker makes of the request."""
    with operator_session(options.operator) as operator:
        request = _read(operator, name)
        if request is not None:
            said().print(plain(f"Requested by {request.created_by}: {request.note}"))
        confirm(_question(request), "Not approved.", options)
        with operator.transaction() as acting:
            approved = approvals.approve(acting, name)
        if wait and isinstance(approved, OperatorRequest):
            print_answer(operator, approved, options)
            return
    print_result(record(approved) if isinstance(approved, MassRefund) else document(approved), "Approved.", options)


@troubles()
def withdraw(request_id: UUID, options: CommandOptions) -> None:
    """Withdraw a request that waits for approval, and print its state."""
    reason = why(options)
    with operator_session(options.operator) as operator, operator.transaction() as acting:
        request = approvals.withdraw(acting, request_id, reason=reason)
    answer = {name: value for name, value in document(request).items() if name in {"request_id", "wish_id", "state"}}
    print_result(answer, "Withdrawn; no money was moved.", options)


def print_answer(operator: Operator, request: OperatorRequest, options: CommandOptions) -> None:
    """Wait for the worker, and print its answer.

    Raises:
        LeaveError: a second operator must approve (exit code 3), the worker refused it (1), or it did not answer in
            time (69).
    """
    commands = _COMMANDS[request.kind]
    if request.state == "awaiting_approval":
        much = "It moves" if request.kind == "refund" else f"{output.money(request.amount_minor, request.currency)} is"
        command = f"fleet {commands} approve {request.request_id}"
        leave_for_approval(document(request), command, options, much=much)
    shown = request.request_id if request.kind == "refund" else request.payment_id
    answered = follow(
        lambda: _reread(operator, request.request_id),
        title="requested",
        count=lambda current: (int(current.state != "asked"), 1),
        ended=lambda current: current.state != "asked",
        patience_seconds=options.patience_seconds,
        standing_still=lambda _: (
            "No worker has processed it yet: `fleet queues` shows the consumers of `replays`. Nothing is lost; "
            f"`fleet {commands} show {shown}` shows its result."
        ),
    )
    if answered.state == "refused":
        if options.as_json:
            print_json(document(answered))
        raise LeaveError(REFUSED, f"Refused: {answered.state_reason}.")
    if answered.state_reason is not None:
        print_result(document(answered), f"Done: {answered.state_reason}.", options)
        return
    made = answered.refund_id or answered.payment_id
    print_result(document(answered), f"{_DONE[answered.kind]}; follow it: fleet {commands} show {made}", options)


def leave_for_approval(
    shown: dict[str, Any], command: str, options: CommandOptions, *, much: str = "It moves"
) -> NoReturn:
    """Raises LeaveError, always: it waits for a second operator, who runs `command`."""
    if options.as_json:
        print_json(shown)
    raise LeaveError(
        WAITS_FOR_APPROVAL, f"{much} more than one operator may approve alone. A second operator runs: {command}"
    )


def document(request: OperatorRequest) -> dict[str, Any]:
    """A request as JSON. One about escrow has its id and kind also under the names that it had before 0055."""
    if request.kind == "refund":
        return record(request)
    of_refunds = ("ticket_ids", "reason", "retry_of", "refund_id")
    return record(request, *of_refunds) | {"wish_id": request.request_id, "what": request.kind}


def _question(request: OperatorRequest | None) -> str:
    if request is None or request.kind == "refund":
        return "Approve it?"
    much = output.money(request.amount_minor, request.currency)
    return f"Release {much} of payment {request.payment_id} from escrow?"


def _read(operator: Operator, request_id: UUID) -> OperatorRequest | None:
    with operator.db.ops_transaction() as tx:
        return requests.get(tx, request_id)


def _reread(operator: Operator, request_id: UUID) -> OperatorRequest:
    request = _read(operator, request_id)
    assert request is not None, "requests are never deleted, and this one was read or written by this command"
    return request
