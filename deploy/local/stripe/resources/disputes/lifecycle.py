"""The life of a dispute, on two tracks told apart by `warning_`: an inquiry moves no money, a chargeback takes it.

    warning_needs_response -> warning_under_review -> warning_closed
              |-----------------------|-> (escalated)
                                             needs_response -> under_review -> won | lost
                                             lost -> won, or lost -> appeal_needs_response -> appeal_under_review

A chargeback withdraws the amount and a fee; winning it brings the amount back and, unless the bank is told otherwise,
not the fee. No answer by `due_by` loses it. Each step asks for the status it leaves, so a late one does nothing.
"""

from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json
from ...world import World
from ..balance import ledger
from ..early_fraud_warnings import lifecycle as early_fraud_warnings
from ..refunds import lifecycle as refunds
from .body import Complaint, new, no_evidence, unanswered

REASONS = frozenset(
    (
        "bank_cannot_process", "check_returned", "credit_not_processed", "customer_initiated", "debit_not_authorized",
        "duplicate", "fraudulent", "general", "incorrect_account_details", "insufficient_funds", "noncompliant",
        "product_not_received", "product_unacceptable", "subscription_canceled", "unrecognized",
    )
)  # fmt: skip
_INQUIRING = frozenset(("warning_needs_response", "warning_under_review"))
_APPEALING = frozenset(("appeal_needs_response", "appeal_under_review"))
MOVES = {
    "won": frozenset(("needs_response", "under_review", "lost")) | _APPEALING,
    "lost": frozenset(("needs_response", "under_review")) | _APPEALING,
    "warning_closed": _INQUIRING,
    "needs_response": _INQUIRING,  # the inquiry has become a chargeback
    "appeal_needs_response": frozenset(("lost",)),
    "appeal_under_review": frozenset(("appeal_needs_response",)),
}
_CLOSED = frozenset(("won", "lost", "warning_closed"))
_BY_EVIDENCE = {
    ("under_review", "winning_evidence"): "won",
    ("under_review", "losing_evidence"): "lost",
    ("warning_under_review", "winning_evidence"): "warning_closed",
    ("warning_under_review", "losing_evidence"): "warning_closed",
    ("warning_under_review", "escalate_inquiry_evidence"): "needs_response",
}


def raise_by_clock(world: World, account: str, charge_id: str, details: Json) -> None:
    """What a test card is for; a charge refunded in time is not disputed any more."""
    charge = world.store.find(account, "charge", charge_id)
    if charge is not None and not charge.body["refunded"]:
        raise_against(world, charge, Complaint(details["reason"], details["inquiry"]))


def raise_against(world: World, charge: Record, complaint: Complaint) -> Record:
    """The buyer's bank disputes a charge: an inquiry moves no money, a chargeback takes it and fails refunds on their
    way.
    """
    if not complaint.inquiry:
        charge = _without_pending_refunds(world, charge)
    dispute = world.insert(charge.account, "dispute", new(world, charge, complaint))
    charge.body["disputed"] = True
    world.save(charge)
    if not complaint.inquiry:
        _withdraw(world, dispute)
    emit(world, dispute, "created", Origin())
    if not complaint.inquiry:
        emit(world, dispute, "funds_withdrawn", Origin())
    early_fraud_warnings.review(world, charge, Origin())
    _await_answer(world, dispute)
    return dispute


def _without_pending_refunds(world: World, charge: Record) -> Record:
    refunds.give_up_pending(world, charge)
    return _find(world, charge.account, charge.id)


def _charge(world: World, dispute: Record) -> Record:
    return _find(world, dispute.account, dispute.body["charge"])


def _find(world: World, account: str, charge_id: str) -> Record:
    found = world.store.find(account, "charge", charge_id)
    assert found is not None, "charges are never deleted"
    return found


def _withdraw(world: World, dispute: Record) -> None:
    amount = dispute.body["amount"]
    _book(world, dispute, "dispute", -amount, world.settings.dispute_fee_minor)
    world.recorder.effect("dispute", dispute.account, dispute.body, amount, Origin())


def _book(world: World, dispute: Record, category: str, amount_minor: int, fee_minor: int) -> None:
    words = "withdrawal" if amount_minor < 0 else "reversal"
    booked = ledger.book(
        world,
        account=dispute.account,
        kind="adjustment",
        reporting_category=category,
        source=dispute.id,
        amount_minor=amount_minor,
        fee_minor=fee_minor,
        fee_words="Dispute fee",
        currency=dispute.body["currency"],
        available_on=world.clock.now(),
        description=f"Chargeback {words} for {dispute.body['charge']}",
    )
    dispute.body["balance_transactions"].append(ledger.by_clock(world, booked))
    world.save(dispute)


def emit(world: World, dispute: Record, what: str, origin: Origin, previous: Json | None = None) -> None:
    """Emit `charge.dispute.<what>`."""
    world.outbox.emit(dispute.account, f"charge.dispute.{what}", dispute.body, origin, previous)


def _await_answer(world: World, dispute: Record) -> None:
    due_by = dispute.body["evidence_details"]["due_by"]
    world.schedule.add_at("dispute_due", due_by, dispute.account, dispute.id, {"due_by": due_by})


def end_without_answer(world: World, account: str, dispute_id: str, details: Json) -> None:
    """When `due_by` has passed: a chargeback is lost, an inquiry closed. An escalated inquiry has a later date."""
    dispute = world.store.find(account, "dispute", dispute_id)
    if dispute is None or dispute.body["evidence_details"]["due_by"] != details["due_by"]:
        return
    if dispute.body["status"] == "needs_response":
        decide(world, dispute, "lost", Origin())
    elif dispute.body["status"] == "warning_needs_response":
        decide(world, dispute, "warning_closed", Origin())


def await_decision(world: World, dispute: Record) -> None:
    """The words that decide in test mode; anything else stays under review until the control API decides."""
    if _outcome_by_evidence(dispute) is not None:
        world.schedule.add("decide_dispute", world.settings.dispute_seconds, dispute.account, dispute.id)


def _outcome_by_evidence(dispute: Record) -> str | None:
    words = dispute.body["evidence"]["uncategorized_text"] or ""
    return _BY_EVIDENCE.get((dispute.body["status"], words.strip()))


def decide_by_evidence(world: World, account: str, dispute_id: str) -> None:
    """Decide as the test words in `uncategorized_text` say. Source: docs.stripe.com/testing#disputes."""
    dispute = world.store.find(account, "dispute", dispute_id)
    outcome = _outcome_by_evidence(dispute) if dispute else None
    if dispute is not None and outcome is not None:
        decide(world, dispute, outcome, Origin())


def decide(world: World, dispute: Record, to: str, origin: Origin, *, fee_comes_back: bool = False) -> bool:
    """One move of `MOVES` with its money and its events. False: the dispute is not where that move starts."""
    before = dispute.body["status"]
    if before not in MOVES[to]:
        return False
    if to == "needs_response" and _charge(world, dispute).body["refunded"]:
        to = "warning_closed"  # Stripe: once all has been refunded, a dispute withdraws nothing
    dispute.body["status"] = to
    dispute.body["is_charge_refundable"] = to in ("won", "warning_closed")
    if to == "needs_response":
        _escalate(world, dispute)
    elif to == "won":
        fee = -world.settings.dispute_fee_minor if fee_comes_back else 0
        _book(world, dispute, "dispute_reversal", dispute.body["amount"], fee)
        world.recorder.effect("dispute_reversal", dispute.account, dispute.body, dispute.body["amount"], origin)
    world.save(dispute)
    _emit_move(world, dispute, before, origin)
    return True


def _escalate(world: World, dispute: Record) -> None:
    """The inquiry has become a chargeback: money goes, and it can be answered anew."""
    due_by = world.clock.now() + world.settings.dispute_response_seconds
    dispute.body |= {"evidence": no_evidence(), "evidence_details": unanswered(due_by)}
    if "payment_method_details" in dispute.body:
        dispute.body["payment_method_details"]["card"]["case_type"] = "chargeback"
    _withdraw(world, dispute)
    _await_answer(world, dispute)


def _emit_move(world: World, dispute: Record, before: str, origin: Origin) -> None:
    to = dispute.body["status"]
    if to not in _CLOSED or before in _CLOSED:
        emit(world, dispute, "updated", origin, {"status": before})
    if to == "needs_response":
        emit(world, dispute, "funds_withdrawn", origin)
    if to == "won":
        emit(world, dispute, "funds_reinstated", origin)
    if to in _CLOSED:
        emit(world, dispute, "closed", origin)
