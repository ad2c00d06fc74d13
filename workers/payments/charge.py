"""charge: claim -> ask Stripe -> record.

Claim writes down what we are about to ask (the call, its key and its body) before anything is sent. Record moves the
payment, posts the journal and appends what follows, in one transaction. A second delivery finds the payment settled and
does nothing, or finds the call unanswered and repeats it with the same key and the same body; once that key may be
forgotten by Stripe, it looks before it sends (workers/runtime/unknown_outcomes.py; M1, M13).
"""

from functools import partial
from uuid import UUID, uuid5

from db import stripe_calls
from db.payments import payments
from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database, Tx
from db.stripe_calls import StripeCall
from db.transfers import destination_charges as destination_rows
from messages.fees import platform_fee
from messages.payments import ChargeRequested
from messages.runtime import trace
from messages.runtime.crash_points import crash_point
from messages.shares import AccountLookupRequested
from messages.verdicts import GiveUp
from outbox.append import append
from stripe_client import payment_intents
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Charged, Refused, Settled
from workers.payments.settlement import cancel_unsent, settle
from workers.runtime.actor import actor
from workers.runtime.unknown_outcomes import Question, ask
from workers.transfers import destination_charges


@actor(ChargeRequested)
def charge(msg: ChargeRequested, db: Database, stripe: Gateway) -> None:
    """Charge the payment's card once (M1).

    Raises:
        GiveUp: there is no such payment, or Stripe contradicts the database (settlement.settle).
        TryLater: the rate limiter has no permit soon, and nothing is written; or Stripe may still show the intent.
        TryAgain: as `ask`; the call stays unknown (M13).
    """
    stripe.reserve(payment_intents.FAMILY)  # a charge that must wait its turn waits before it is claimed
    claimed = _claim(db, msg)
    if claimed is None:  # an earlier delivery, or a webhook, settled it
        return
    payment, call = claimed
    question = Question[Settled | Refused](
        send=partial(payment_intents.create, stripe, call.request),
        look_up=partial(
            payment_intents.find,
            stripe,
            payment.payment_id,
            customer_id=payment.customer_id,
            since_epoch=call.first_sent_epoch,
        ),
    )
    outcome = ask("charge", db, payment.tenant_id, call, question)
    with db.transaction(payment.tenant_id) as tx:
        current = payments.lock(tx, payment.payment_id)
        assert current is not None, "payments are never deleted, and this one was read a moment ago"
        stripe_calls.settle(
            tx,
            call,
            answer=type(outcome).__name__,
            object_id=getattr(outcome, "intent_id", None),
            request_id=outcome.request_id,
        )
        # When a webhook moved the payment meanwhile, our answer is the older one; only a capture is never old.
        if current.state is PaymentState.CHARGING or isinstance(outcome, Charged):
            settle(tx, current, outcome, by="charge", call_id=call.call_id)
        crash_point("charge.before_commit")
    crash_point("charge.after_commit")
    if isinstance(outcome, Refused) and outcome.code in destination_charges.NOT_RECEIVING:
        _look_up_account(db, payment)


def _claim(db: Database, msg: ChargeRequested) -> tuple[Payment, StripeCall] | None:
    """Write down that we are about to act; None when nothing is left to do."""
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.lock(tx, msg.payment_id)
        if payment is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no payment {msg.payment_id}")
        if payment.state not in {PaymentState.REQUESTED, PaymentState.CHARGING}:
            return None
        if payment.state is PaymentState.REQUESTED and payment.cancel_reason is not None:
            cancel_unsent(tx, payment, by="charge")
            return None
        if payment.state is PaymentState.REQUESTED:
            fee = platform_fee(payment.amount, payment.plan)
            payments.begin_charging(tx, payment.payment_id, platform_fee_minor=fee.minor, by="charge")
        return payment, stripe_calls.begin(
            tx,
            operation=payment_intents.CREATE,
            subject_id=payment.payment_id,
            named_after=key_name(payment),
            request=_body(tx, payment),
        )


def key_name(payment: Payment) -> UUID:
    """What the key of a charge is made of: the order, and not the payment, whose id is ours alone.

    A database that was restored to an earlier moment receives an order again that it has forgotten, and gives it
    another payment. For the life of the key Stripe then refuses the second charge, since its body is another (M1).
    """
    return uuid5(payment.tenant_id, str(payment.order_id))


def _body(tx: Tx, payment: Payment) -> dict[str, object]:
    return payment_intents.creation(
        tenant_id=payment.tenant_id,
        order_id=payment.order_id,
        payment_id=payment.payment_id,
        amount=payment.amount,
        payment_method_id=payment.payment_method_id,
        customer_id=payment.customer_id,
        capture=payment.capture,
        destination=destination_charges.intent_parameters(tx, payment),
        traced=trace.for_others(),
    )


def _look_up_account(db: Database, payment: Payment) -> None:
    """Have the venue's account looked up, which may not receive money any more. In transactions of their own, since an
    account is the platform's; what a crash loses here, the next refusal does.
    """
    with db.transaction(payment.tenant_id) as tx:
        account_id = destination_rows.receiver(tx, payment.venue_id).account_id
    if account_id is not None:
        with db.system_transaction() as tx:
            append(tx, AccountLookupRequested(account_id=account_id))
