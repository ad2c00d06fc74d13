"""Disputes as the API shows them: looked at, answered with evidence, accepted.

Source: the specification of /v1/disputes. Evidence is submitted once; `submit` is true unless the request says
otherwise.
"""

from ...state.store import Record
from ...wire.errors import Json, invalid, missing_object, refused
from ...wire.parameters import merge_metadata
from ...world import Call, World
from ..balance import ledger
from ..charges.api import wanted_of_charge
from ..lists import list_objects
from . import lifecycle

_MOST_EVIDENCE = 150_000  # characters of all fields together
_ANSWERED = {"needs_response": "under_review", "warning_needs_response": "warning_under_review"}
_ACCEPTED = {"needs_response": "lost", "warning_needs_response": "warning_closed"}


def check(given: Json) -> None:
    """Validation that needs no object: it runs before the idempotency key is looked at."""
    if sum(len(text) for text in given.get("evidence", {}).values() if text) > _MOST_EVIDENCE:
        message = f"The evidence has more than {_MOST_EVIDENCE} characters."
        raise invalid(message, param="evidence")


def retrieve(call: Call) -> Json:
    return shown(call.world, _find(call).body)


def list_all(call: Call) -> Json:
    page = list_objects(call, "dispute", wanted_of_charge(call))
    page["data"] = [shown(call.world, body) for body in page["data"]]
    return page


def shown(world: World, body: Json) -> Json:
    """Whether its money has moved by now is a question to the clock."""
    body["balance_transactions"] = [ledger.by_clock(world, booked) for booked in body["balance_transactions"]]
    return body


def update(call: Call) -> Json:
    dispute, given = _find(call), call.parameters
    previous: Json = {}
    if "metadata" in given:
        previous["metadata"] = dispute.body["metadata"]
        dispute.body["metadata"] = merge_metadata(dispute.body["metadata"], given["metadata"])
    if "evidence" in given or given.get("submit"):
        previous |= _answer(dispute, given)
    if previous:
        call.world.save(dispute)
        lifecycle.emit(call.world, dispute, "updated", call.origin, previous)
    if "status" in previous:
        lifecycle.await_decision(call.world, dispute)
    return dispute.body


def _answer(dispute: Record, given: Json) -> Json:
    """Stage the evidence, and submit it; returns what it was before."""
    body, details = dispute.body, dispute.body["evidence_details"]
    if body["status"] not in _ANSWERED:
        raise refused(f"This dispute takes no evidence because it has a status of {body['status']}.")
    previous = {"evidence": body["evidence"] | {}, "evidence_details": details | {}}
    body["evidence"] |= given.get("evidence", {})
    details["has_evidence"] = any(text for name, text in body["evidence"].items() if name != "enhanced_evidence")
    if given.get("submit", True):
        details["submission_count"] += 1
        previous["status"] = body["status"]
        body["status"] = _ANSWERED[body["status"]]
    return previous


def close(call: Call) -> Json:
    """Accept it: there is nothing to say against it."""
    dispute = _find(call)
    if dispute.body["status"] not in _ACCEPTED:
        raise refused(f"This dispute could not be closed because it has a status of {dispute.body['status']}.")
    lifecycle.decide(call.world, dispute, _ACCEPTED[dispute.body["status"]], call.origin)
    return dispute.body


def _find(call: Call) -> Record:
    dispute = call.world.store.find(call.account, "dispute", call.path_ids[0])
    if dispute is None:
        raise missing_object("dispute", call.path_ids[0])
    return dispute
