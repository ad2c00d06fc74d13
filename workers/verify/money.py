"""Charges, refunds and disputes at Stripe against the database, and each tenant's balance against the ledger."""

from collections import defaultdict
from uuid import UUID

from db.reconciliation.verify import BookedPayment
from db.refunds.verify import BookedDispute, BookedRefund
from stripe_client.outcomes import BalanceTransaction, Charged, DisputeAnswer, RefundAnswer
from stripe_client.payment_intents import ListedIntent
from workers.verify.report import Balances, KindCount, Report

# A record that changed this recently is being processed, even when its message is with a worker and in no queue.
IN_HAND_SECONDS = 60.0


def check_charges(report: Report, book: dict[UUID, BookedPayment], at_stripe: list[ListedIntent]) -> None:
    """Each charge at Stripe matches one charge and one journal of the same amount in the database, and vice versa (M1,
    M2).
    """
    count = report.kinds["charges"]
    charged: dict[UUID, list[Charged]] = defaultdict(list)
    for intent in at_stripe:
        if isinstance(intent.outcome, Charged):
            charged[intent.payment_id].append(intent.outcome)
    for payment_id, outcomes in charged.items():
        count.attempted += 1
        payment = book.get(payment_id)
        if len(outcomes) > 1:
            count.duplicated += len(outcomes) - 1
            report.findings.append(f"payment {payment_id} was charged {len(outcomes)} times")
        if payment is None:
            count.unexpected += 1
            report.findings.append(f"Stripe has a charge for payment {payment_id}, which is not in the database")
        else:
            _compare_charge(report, count, payment, outcomes)
    for payment in book.values():
        if payment.charge_id is not None and payment.payment_id not in charged:
            count.unexpected += 1
            report.findings.append(f"the database has charge {payment.charge_id}, which Stripe does not list")


def _compare_charge(report: Report, count: KindCount, payment: BookedPayment, outcomes: list[Charged]) -> None:
    match = next((outcome for outcome in outcomes if outcome.charge_id == payment.charge_id), None)
    if match is None:
        if is_in_hand(payment) or payment.has_dead_letter:
            count.waiting += 1
            return
        count.lost += 1
        report.findings.append(
            f"payment {payment.payment_id} was charged at Stripe, but is {payment.state} in the database"
        )
        return
    count.done += 1
    if not (match.amount.minor == payment.charged_minor == payment.journal_minor):
        count.unexpected += 1
        report.findings.append(
            f"charge {payment.charge_id}: Stripe {match.amount.minor}, database {payment.charged_minor}, "
            f"journal {payment.journal_minor}"
        )


def check_refunds(
    report: Report,
    book: dict[UUID, BookedPayment],
    booked: list[BookedRefund],
    at_stripe: list[RefundAnswer],
    intents: list[ListedIntent],
) -> None:
    """Each refund at Stripe matches one in the database with its journals, and vice versa (M2); never more than
    captured (M3).
    """
    payment_of = {intent.intent_id: intent.payment_id for intent in intents}
    ours = [refund for refund in at_stripe if refund.payment_intent_id in payment_of]
    count = report.kinds["refunds"]
    by_stripe_id = {refund.stripe_refund_id: refund for refund in booked if refund.stripe_refund_id}
    seen: set[UUID] = set()
    refunded: dict[UUID, int] = defaultdict(int)
    for answer in ours:
        count.attempted += 1
        if answer.refund_id is not None and answer.refund_id in seen:
            count.duplicated += 1
            report.findings.append(f"refund {answer.refund_id} was created twice at Stripe")
        if answer.refund_id is not None:
            seen.add(answer.refund_id)
        if answer.status not in {"failed", "canceled"}:
            refunded[payment_of[answer.payment_intent_id or ""]] += answer.amount.minor
        payment = book.get(payment_of[answer.payment_intent_id or ""])
        _compare_refund(report, count, by_stripe_id.get(answer.stripe_refund_id), answer, payment)
    for payment_id, minor in refunded.items():
        payment = book.get(payment_id)
        if payment is not None and minor > (payment.charged_minor or 0):
            count.unexpected += 1
            report.findings.append(f"payment {payment_id}: {minor} refunded of {payment.charged_minor} captured")
    _check_unsent(report, count, booked, {answer.stripe_refund_id for answer in ours})


def _compare_refund(
    report: Report, count: KindCount, refund: BookedRefund | None, answer: RefundAnswer, payment: BookedPayment | None
) -> None:
    if refund is None:
        if payment is not None and (payment.has_outbox_row or payment.event_waits):
            count.waiting += 1
            return
        count.lost += 1
        report.findings.append(f"{answer.stripe_refund_id} of {answer.amount} is at Stripe but not in the database")
        return
    returned = answer.returned is not None
    expected = (-answer.amount.minor if answer.balance else None, answer.amount.minor if returned else None)
    if refund.state == answer.status and expected == (refund.journal_minor, refund.failure_journal_minor):
        count.done += 1
    elif is_in_hand(refund):
        count.waiting += 1
    elif refund.has_dead_letter:
        count.dead += 1
    else:
        count.unexpected += 1
        report.findings.append(
            f"{answer.stripe_refund_id}: {answer.status} {expected} at Stripe, {refund.state} "
            f"{(refund.journal_minor, refund.failure_journal_minor)} in the database"
        )


def _check_unsent(report: Report, count: KindCount, booked: list[BookedRefund], at_stripe: set[str]) -> None:
    """Refunds that Stripe does not list: refused, not sent yet, or lost."""
    for refund in booked:
        if refund.stripe_refund_id in at_stripe:
            continue
        count.attempted += 1
        if refund.stripe_refund_id is not None:
            count.unexpected += 1
            report.findings.append(f"the database has {refund.stripe_refund_id}, which Stripe does not list")
        elif refund.state == "refused":
            count.done += 1
        elif refund.has_dead_letter:
            count.dead += 1
        elif is_in_hand(refund):
            count.waiting += 1
        else:
            count.lost += 1
            report.findings.append(f"refund {refund.refund_id} is stuck as {refund.state}: no message is left for it")


def check_disputes(
    report: Report,
    book: dict[UUID, BookedPayment],
    booked: dict[str, BookedDispute],
    at_stripe: list[DisputeAnswer],
) -> None:
    """Each dispute of our charges has the same status in the database as at Stripe, and a journal for each movement
    (M2).
    """
    count = report.kinds["disputes"]
    by_charge = {payment.charge_id: payment for payment in book.values() if payment.charge_id}
    for answer in at_stripe:
        payment = by_charge.get(answer.charge_id)
        if payment is None:  # the dispute of another charge
            continue
        count.attempted += 1
        dispute = booked.get(answer.dispute_id)
        moved = {dispute_movement.balance.balance_transaction_id for dispute_movement in answer.movements}
        if dispute is not None and dispute.status == answer.status and dispute.journals == moved:
            count.done += 1
        elif payment.has_outbox_row or payment.event_waits:
            count.waiting += 1
        elif payment.has_dead_letter:
            count.dead += 1
        else:
            count.lost += dispute is None
            count.unexpected += dispute is not None
            recorded = dispute and (dispute.status, sorted(dispute.journals))
            report.findings.append(
                f"{answer.dispute_id}: {answer.status} {sorted(moved)} at Stripe, "
                f"{recorded or 'missing'} in the database"
            )
    listed = {answer.dispute_id for answer in at_stripe}
    for unlisted in sorted(booked.keys() - listed):
        count.unexpected += 1
        report.findings.append(f"the database has {unlisted}, which Stripe does not list")


def is_in_hand(row: BookedPayment | BookedRefund) -> bool:
    """It is being processed: a message or an event is pending, or it changed a moment ago."""
    return row.has_outbox_row or row.event_waits or row.seconds_since_move < IN_HAND_SECONDS


def check_balances(
    report: Report,
    ledger: Balances,
    intents: list[ListedIntent],
    refunds: list[RefundAnswer],
    disputes: list[DisputeAnswer],
    of_shares: Balances,
) -> None:
    """By tenant and currency: the ledger's Stripe balance equals the sum of Stripe's balance transactions, without
    payouts.
    """
    at_stripe = _balances_at_stripe(intents, refunds, disputes)
    for key, minor in of_shares.items():
        at_stripe[key] += minor
    for key in sorted(ledger.keys() | at_stripe.keys(), key=str):
        if minor := ledger.get(key, 0) - at_stripe.get(key, 0):
            tenant, currency = key
            report.unexplained[key] = minor
            report.findings.append(f"tenant {tenant}: the ledger and Stripe differ by {minor} {currency} minor units")


def _balances_at_stripe(
    intents: list[ListedIntent], refunds: list[RefundAnswer], disputes: list[DisputeAnswer]
) -> Balances:
    """Net amount of the balance transactions of our charges, refunds and disputes, in the balance currency."""
    sums: Balances = defaultdict(int)
    tenant_of = {intent.intent_id: intent.tenant_id for intent in intents}
    for intent in intents:
        if isinstance(intent.outcome, Charged):
            balance = intent.outcome.balance
            gross = balance.amount if balance else intent.outcome.amount
            sums[intent.tenant_id, gross.currency] += gross.minor - (balance.fee.minor if balance else 0)
    for refund in refunds:
        tenant = tenant_of.get(refund.payment_intent_id or "")
        for moved in (refund.balance, refund.returned):
            if tenant is not None and moved is not None:
                sums[tenant, moved.amount.currency] += _net(moved)
    of_charge = {one.outcome.charge_id: one.tenant_id for one in intents if isinstance(one.outcome, Charged)}
    for dispute in disputes:
        for movement in dispute.movements:
            if dispute.charge_id in of_charge:
                sums[of_charge[dispute.charge_id], movement.balance.amount.currency] += _net(movement.balance)
    return sums


def _net(moved: BalanceTransaction) -> int:
    return moved.amount.minor - moved.fee.minor
