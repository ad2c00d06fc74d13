"""The checker's look at money: charges, refunds and disputes at Stripe and in the book, and each tenant's balance."""

from collections import defaultdict
from uuid import UUID

from db.reconciliation.verify import BookedPayment
from db.refunds.verify import BookedDispute, BookedRefund
from stripe_client.outcomes import BalanceTransaction, Charged, DisputeAnswer, RefundAnswer
from stripe_client.payment_intents import ListedIntent
from workers.verify.report import Balances, KindCount, Report

# Something that moved this recently is being worked on, even when its message is with a worker and no queue shows it.
IN_HAND_SECONDS = 60.0


def check_charges(report: Report, book: dict[UUID, BookedPayment], at_stripe: list[ListedIntent]) -> None:
    """Each charge at Stripe has one charge, and one journal, of the same amount in the book; and back (M1, M2)."""
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
            report.findings.append(f"Stripe holds a charge for payment {payment_id}, which the book does not know")
        else:
            _compare_charge(report, count, payment, outcomes)
    for payment in book.values():
        if payment.charge_id is not None and payment.payment_id not in charged:
            count.unexpected += 1
            report.findings.append(f"the book holds charge {payment.charge_id}, which Stripe does not list")


def _compare_charge(report: Report, count: KindCount, payment: BookedPayment, outcomes: list[Charged]) -> None:
    match = next((outcome for outcome in outcomes if outcome.charge_id == payment.charge_id), None)
    if match is None:
        if is_in_hand(payment) or payment.has_dead_letter:
            count.waiting += 1
            return
        count.lost += 1
        report.findings.append(f"payment {payment.payment_id} was charged at Stripe, but the book says {payment.state}")
        return
    count.done += 1
    if not (match.amount.minor == payment.charged_minor == payment.journal_minor):
        count.unexpected += 1
        report.findings.append(
            f"charge {payment.charge_id}: Stripe {match.amount.minor}, book {payment.charged_minor}, "
            f"journal {payment.journal_minor}"
        )


def check_refunds(
    report: Report,
    book: dict[UUID, BookedPayment],
    booked: list[BookedRefund],
    at_stripe: list[RefundAnswer],
    intents: list[ListedIntent],
) -> None:
    """Each refund at Stripe is one in the book, with its journals, and back (M2); never more than was taken (M3)."""
    payment_of = {intent.intent_id: intent.payment_id for intent in intents}
    ours = [refund for refund in at_stripe if refund.payment_intent_id in payment_of]
    count = report.kinds["refunds"]
    by_stripe_id = {refund.stripe_refund_id: refund for refund in booked if refund.stripe_refund_id}
    seen: set[UUID] = set()
    given: dict[UUID, int] = defaultdict(int)
    for answer in ours:
        count.attempted += 1
        if answer.refund_id is not None and answer.refund_id in seen:
            count.duplicated += 1
            report.findings.append(f"refund {answer.refund_id} was made twice at Stripe")
        if answer.refund_id is not None:
            seen.add(answer.refund_id)
        if answer.status not in {"failed", "canceled"}:
            given[payment_of[answer.payment_intent_id or ""]] += answer.amount.minor
        payment = book.get(payment_of[answer.payment_intent_id or ""])
        _compare_refund(report, count, by_stripe_id.get(answer.stripe_refund_id), answer, payment)
    for payment_id, minor in given.items():
        payment = book.get(payment_id)
        if payment is not None and minor > (payment.charged_minor or 0):
            count.unexpected += 1
            report.findings.append(f"payment {payment_id}: {minor} was given back of {payment.charged_minor} captured")
    _check_unsent(report, count, booked, {answer.stripe_refund_id for answer in ours})


def _compare_refund(
    report: Report, count: KindCount, refund: BookedRefund | None, answer: RefundAnswer, payment: BookedPayment | None
) -> None:
    if refund is None:
        if payment is not None and (payment.has_outbox_row or payment.event_waits):
            count.waiting += 1
            return
        count.lost += 1
        report.findings.append(f"{answer.stripe_refund_id} over {answer.amount} is at Stripe and not in the book")
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
            f"{answer.stripe_refund_id}: Stripe says {answer.status} {expected}, the book {refund.state} "
            f"{(refund.journal_minor, refund.failure_journal_minor)}"
        )


def _check_unsent(report: Report, count: KindCount, booked: list[BookedRefund], at_stripe: set[str]) -> None:
    """Refunds that Stripe does not list: refused, still to be sent, or lost."""
    for refund in booked:
        if refund.stripe_refund_id in at_stripe:
            continue
        count.attempted += 1
        if refund.stripe_refund_id is not None:
            count.unexpected += 1
            report.findings.append(f"the book holds {refund.stripe_refund_id}, which Stripe does not list")
        elif refund.state == "refused":
            count.done += 1
        elif refund.has_dead_letter:
            count.dead += 1
        elif is_in_hand(refund):
            count.waiting += 1
        else:
            count.lost += 1
            report.findings.append(f"refund {refund.refund_id} stands as {refund.state} and nothing works on it")


def check_disputes(
    report: Report,
    book: dict[UUID, BookedPayment],
    booked: dict[str, BookedDispute],
    at_stripe: list[DisputeAnswer],
) -> None:
    """Each dispute of our charges is in the book as Stripe has it, with a journal for each movement of money (M2)."""
    count = report.kinds["disputes"]
    by_charge = {payment.charge_id: payment for payment in book.values() if payment.charge_id}
    for answer in at_stripe:
        payment = by_charge.get(answer.charge_id)
        if payment is None:  # of a charge that is not ours
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
            held = dispute and (dispute.status, sorted(dispute.journals))
            report.findings.append(
                f"{answer.dispute_id}: Stripe says {answer.status} {sorted(moved)}, the book {held or 'nothing'}"
            )
    strs = {answer.dispute_id for answer in at_stripe}
    for stranger in sorted(booked.keys() - strs):
        count.unexpected += 1
        report.findings.append(f"the book holds {stranger}, which Stripe does not list")


def is_in_hand(thing: BookedPayment | BookedRefund) -> bool:
    """Something of ours still works on it, or did a moment ago."""
    return thing.has_outbox_row or thing.event_waits or thing.seconds_since_move < IN_HAND_SECONDS


def check_balances(
    report: Report,
    ledger: Balances,
    intents: list[ListedIntent],
    refunds: list[RefundAnswer],
    disputes: list[DisputeAnswer],
    of_shares: Balances,
) -> None:
    """Per tenant and currency the ledger holds what Stripe's balance transactions add up to, payouts left aside."""
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
    """Net of the balance transactions of our charges, refunds and disputes, in the currency of the balance."""
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
