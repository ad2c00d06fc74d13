"""Application fees: each one at Stripe matches one in the database with the same refunds, and vice versa."""

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
    """Returns the net amount of the balance transactions of our fees and their refunds, by tenant and currency."""
    tenants = {intent.outcome.charge_id: intent.tenant_id for intent in intents if isinstance(intent.outcome, Charged)}
    by_id = {fee.fee_id: fee for fee in booked}
    sums: Balances = defaultdict(int)
    count = report.kinds["application fees"]
    for fee in at_stripe:
        tenant = tenants.get(fee.charge_id or "")
        if tenant is None:  # the fee of another charge
            continue
        count.attempted += 1
        for moved in fee.movements:
            sums[tenant, moved.amount.currency] += moved.amount.minor - moved.fee.minor
        row = by_id.pop(fee.fee_id, None)
        whole = fee.amount.minor, fee.refunded.minor, fee.amount.minor - fee.refunded.minor
        recorded = (row.amount_minor, row.refunded_minor, row.journal_minor) if row else None
        if recorded == whole:
            count.done += 1
        else:
            count.unexpected += 1
            report.findings.append(
                f"{fee.fee_id}: (fee, refunded, net) is {whole} at Stripe, {recorded} in the database"
            )
    for unlisted in by_id:
        count.unexpected += 1
        report.findings.append(f"the database has {unlisted}, which Stripe does not list")
    return sums
