"""refund: claim -> ask Stripe -> record.

As charge: the call, its key and its body are written down before anything is sent. A second delivery finds the refund
settled and does nothing, or repeats the unanswered call with the same key and body; once that key may be forgotten it
looks among the intent's refunds before it sends (workers/runtime/unknown_outcomes.py; M13). The amount was reserved
when the refund was requested (M3).
"""

from functools import partial

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
from stripe_client.outcomes import RefundAnswer, Refused
from workers.refunds.settlement import refuse_refund, settle_refund
from workers.runtime.actor import actor
from workers.runtime.unknown_outcomes import Question, ask
from workers.transfers import destination_charges


@actor(RefundRequested)
def refund(msg: RefundRequested, db: Database, stripe: Gateway) -> None:
    """Send a requested refund to Stripe, once.

    Raises:
        GiveUp: there is no such refund.
        TryLater: the rate limiter has no permit soon, and nothing is written; or Stripe may still show the refund.
        TryAgain: as `ask`; the call stays unknown (M13).
    """
    stripe.reserve(stripe_refunds.FAMILY)
    claimed = _claim(db, msg)
    if claimed is None:  # an earlier delivery, or a webhook, settled it
        return
    wanted, call = claimed
    question = Question[RefundAnswer | Refused](
        send=partial(stripe_refunds.create, stripe, call.request),
        look_up=partial(stripe_refunds.find, stripe, wanted.refund_id, payment_intent_id=wanted.payment_intent_id),
    )
    outcome = ask("refund", db, wanted.tenant_id, call, question)
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
            destination=destination_charges.refund_parameters(tx, wanted),
            traced=trace.for_others(),
        )
        return wanted, stripe_calls.begin(
            tx, operation=stripe_refunds.CREATE, subject_id=wanted.refund_id, request=body
        )


def _record(db: Database, wanted: Refund, call: StripeCall, outcome: RefundAnswer | Refused) -> None:
    """Store the answer and settle the refund with the payment locked: a webhook may have brought the same refund
    meanwhile.
    """
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
            refuse_refund(tx, wanted, outcome, by="refund")
        else:
            settle_refund(tx, payment, outcome, by="refund", call_is_settled=True)
        crash_point("refund.before_commit")
