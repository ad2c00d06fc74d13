"""The checker's look at application fees: each at Stripe is one in the book, with as much given back, and back."""

from collections import defaultdict
from collections.abc import Sequence

from db.transfers.verify import BookedFee
from stripe_client.application_fees import ListedFee
from stripe_client.outcomes import Charged
from stripe_client.payment_intents import ListedIntent
from workers.verify.report import Balances, Report


def check_fees(
    report: Report, booked: Sequence[BookedFee], at_stripe: Sequence[ListedFee], intents: Sequence[ListedIntent]
) -> Balances:
    """Returns the net of the balance transactions of our fees and of their refunds, per tenant."""
    tenants = {intent.outcome.charge_id: intent.tenant_id for intent in intents if isinstance(intent.outcome, Charged)}
    by_id = {fee.fee_id: fee for fee in booked}
    sums: Balances = defaultdict(int)
    count = report.kinds["application fees"]
    for fee in at_stripe:
        tenant = tenants.get(fee.charge_id or "")
        if tenant is None:  # of a charge that is not ours
            continue
        count.attempted += 1
        for moved in fee.movements:
            sums[tenant, moved.amount.currency] += moved.amount.minor - moved.fee.minor
        row = by_id.pop(fee.fee_id, None)
        whole = fee.amount.minor, fee.refunded.minor, fee.amount.minor - fee.refunded.minor
        held = (row.amount_minor, row.refunded_minor, row.journal_minor) if row else None
        if held == whole:
            count.done += 1
        else:
            count.unexpected += 1
            report.findings.append(f"{fee.fee_id}: Stripe has (taken, given back, left) {whole}, the book {held}")
    for stranger in by_id:
        count.unexpected += 1
        report.findings.append(f"the book holds {stranger}, which Stripe does not list")
    return sums
