"""What waits for a second operator, approved in one place: operators' requests, mass refunds and replay batches.

A request about one payment is a row of operator_requests and ends with its answer. A mass refund and a replay batch are
rows with a long life of their own, in which the approval is one move: to keep it a second time in operator_requests
would be the same fact twice, and the previous release would approve the one and not the other. The rule is one all the
same (second_person.py), and so is the log.
"""

from uuid import UUID

from db.dead_letters import replay_batches
from db.dead_letters.replay_batches import ReplayBatch
from db.operators import requests
from db.operators.requests import OperatorRequest
from db.refunds import mass_refunds
from db.refunds.mass_refunds import MassRefund
from messages.replays import ReplayDue
from outbox.append import append
from outbox.requests.mass_refunds import append_step
from outbox.requests.operators.asking import queue, subject_of
from outbox.requests.operators.mass_refunds import found
from outbox.requests.operators.mass_refunds import subject_of as subject_of_mass_refund
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError, require

# What the operator log calls a request of each kind.
_LOGGED_AS = {"refund": "refund", "release": "escrow release", "hold": "escrow hold"}


def approve(acting: OperatorTransaction, name: UUID) -> OperatorRequest | MassRefund:
    """The second operator agrees to a request or a mass refund, by its id; returns it as it is afterwards.

    The move and the message for the worker are one transaction; a second approval finds nothing waiting and is refused.

    Raises:
        RefusedError: unknown, it waits for no approval, or this is the operator who requested it.
    """
    request = requests.get(acting.tx, name)
    if request is not None:
        return _approve_request(acting, request)
    return _approve_mass_refund(acting, found(acting.tx, name))


def approve_batch(acting: OperatorTransaction, batch_id: UUID) -> None:
    """The second operator lets a replay batch run.

    Raises:
        RefusedError: unknown, it waits for no approval, or this is the operator who made or started it.
    """
    batch = replay_batches.lock(acting.tx, batch_id)
    if batch is None:
        raise RefusedError(f"there is no batch {batch_id}")
    acting.require_second_person(batch.started_by, batch.created_by)
    leaving = ("awaiting_approval",)
    _require_waiting(
        replay_batches.move(acting.tx, batch_id, leaving=leaving, to="running", by=acting.operator), "batch", batch
    )
    append(acting.tx, ReplayDue(batch_id=batch_id))
    acting.log("approve", {"batch_id": str(batch_id)}, batch.reason)


def withdraw(acting: OperatorTransaction, request_id: UUID, *, reason: str) -> OperatorRequest:
    """Withdraw a request that waits for approval; any operator may. Mass refunds are stopped instead
    (operators/mass_refunds).

    Raises:
        RefusedError: unknown, it no longer waits, or no reason was given.
    """
    require(reason.strip(), "give a reason")
    request = _request(acting, request_id)
    _require_waiting(requests.withdraw(acting.tx, request_id, by=acting.operator, reason=reason), "request", request)
    acting.log(f"withdraw {_LOGGED_AS[request.kind]}", subject_of(request), reason)
    return _request(acting, request_id)


def _approve_request(acting: OperatorTransaction, request: OperatorRequest) -> OperatorRequest:
    acting.require_second_person(request.created_by)
    _require_waiting(requests.approve(acting.tx, request.request_id, by=acting.operator), "request", request)
    queue(acting, request)
    acting.log(f"approve {_LOGGED_AS[request.kind]}", subject_of(request), request.note)
    return _request(acting, request.request_id)


def _approve_mass_refund(acting: OperatorTransaction, run: MassRefund) -> MassRefund:
    acting.require_second_person(run.created_by)
    _require_waiting(mass_refunds.approve(acting.tx, run, by=acting.operator), "cancellation", run)
    append_step(acting.tx, run, run.step)
    acting.log("approve event cancellation", subject_of_mass_refund(run), run.note)
    return found(acting.tx, run.cancellation_id)


def _request(acting: OperatorTransaction, request_id: UUID) -> OperatorRequest:
    request = requests.get(acting.tx, request_id)
    if request is None:
        raise RefusedError(f"there is no request {request_id}")
    return request


def _require_waiting(moved: bool, noun: str, row: OperatorRequest | MassRefund | ReplayBatch) -> None:
    require(moved, f"the {noun} is {row.state.replace('_', ' ')}; it waits for no approval")
