"""refund: claim -> Stripe -> record.

As charge: the call, its key and its body are written down before anything is sent. A second delivery finds the refund
settled and does nothing, or repeats the unanswered call with the same key and body; once that key may be forgotten it
looks among the intent's refunds before it sends (M13). The amount was reserved when the refund was asked for (M3).
"""

from db import stripe_calls
from db.payments import payments
from db.refunds import refunds
from db.refunds.refunds import Refund
from db.refunds.states import RefundState
from db.session import Database
from db.stripe_calls import StripeCall
from messages.refunds import RefundRequested
from messages.runtime import trace
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp
from stripe_client import refunds as stripe_refunds
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent, RefundAnswer, RefundOutcome, Refused, Unanswered
from workers.refunds.settlement import refuse, settle_refund
from workers.runtime.actor import actor
from workers.runtime.unknown_outcomes import key_dies_at, leave_unknown, wait_for_absence
from workers.transfers import destination_charges


@actor(RefundRequested)
def refund(msg: RefundRequested, db: Database, stripe: Gateway) -> None:
    stripe.reserve(stripe_refunds.FAMILY)
    claimed = _claim(db, msg)
    if claimed is None:  # an earlier delivery, or a webhook, settled it
        return
    wanted, call = claimed
    crash_point("refund.before_call")
    outcome = _look_up(db, stripe, wanted, call) if call.must_look_up else _send(stripe, call)
    crash_point("refund.after_call")
    if isinstance(outcome, Unanswered):
        leave_unknown(db, wanted.tenant_id, call, outcome)
    _record(db, wanted, call, outcome)
    crash_point("refund.after_commit")


def _claim(db: Database, msg: RefundRequested) -> tuple[Refund, StripeCall] | None:
    """Write down that we are about to act; None when nothing is left to do."""
    with db.transaction(msg.tenant_id) as tx:
        payments.lock(tx, msg.payment_id)
        wanted = refunds.get(tx, msg.refund_id)
        if wanted is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no refund {msg.refund_id}")
        if wanted.state not in {RefundState.REQUESTED, RefundState.SENDING}:
            return None
        refunds.begin_sending(tx, wanted, by="refund")
        body = stripe_refunds.creation(
            tenant_id=wanted.tenant_id,
            payment_id=wanted.payment_id,
            refund_id=wanted.refund_id,
            payment_intent_id=wanted.payment_intent_id,
            amount=wanted.amount,
            reason=wanted.reason,
            destination=destination_charges.taken_back_with(tx, wanted, wanted.amount.currency),
            traced=trace.for_others(),
        )
        return wanted, stripe_calls.begin(
            tx, operation=stripe_refunds.CREATE, subject_id=wanted.refund_id, request=body
        )


def _send(stripe: Gateway, call: StripeCall) -> RefundOutcome:
    return stripe_refunds.create(
        stripe, call.request, idempotency_key=call.idempotency_key, send_before=key_dies_at(call)
    )


def _look_up(db: Database, stripe: Gateway, wanted: Refund, call: StripeCall) -> RefundAnswer:
    """Ask Stripe what became of the call. Raises as `wait_for_absence`."""
    found = stripe_refunds.find(stripe, wanted.refund_id, payment_intent_id=wanted.payment_intent_id)
    if isinstance(found, Absent):
        wait_for_absence(db, wanted.tenant_id, call, found)
    return found


def _record(db: Database, wanted: Refund, call: StripeCall, outcome: RefundAnswer | Refused) -> None:
    with db.transaction(wanted.tenant_id) as tx:
        payment = payments.lock(tx, wanted.payment_id)
        assert payment is not None, "payments are never deleted, and this one was read a moment ago"
        stripe_calls.settle(
            tx,
            call,
            answer=outcome.code if isinstance(outcome, Refused) else outcome.status,
            object_id=None if isinstance(outcome, Refused) else outcome.stripe_refund_id,
            request_id=outcome.request_id,
        )
        if isinstance(outcome, Refused):
            refuse(tx, wanted, outcome, by="refund")
        else:
            settle_refund(tx, payment, outcome, by="refund")
        crash_point("refund.before_commit")
