"""The two sides of the comparison: Stripe's lists, and the database at one moment."""

from dataclasses import dataclass
from uuid import UUID

from db.groups import verify as group_verify
from db.groups.verify import BookedGroup
from db.minting import series
from db.minting import verify as mint_verify
from db.minting.series import Series
from db.minting.verify import BookedMint
from db.reconciliation import verify as reconciliation_verify
from db.reconciliation.verify import BookedPayment
from db.refunds import verify as refund_verify
from db.refunds.verify import BookedDispute, BookedRefund
from db.session import Tx
from db.transfers import verify as transfer_verify
from db.transfers.verify import BookedFee
from stripe_client import application_fees, disputes, payment_intents, refunds
from stripe_client.application_fees import ListedFee
from stripe_client.gateway import Gateway
from stripe_client.outcomes import DisputeAnswer, RefundAnswer
from stripe_client.payment_intents import ListedIntent
from workers.verify.shares import BookedShares, SharesAtStripe


@dataclass(frozen=True, slots=True)
class StripeSide:
    """What Stripe lists since the first order, read in several calls: not of one moment."""

    shares: SharesAtStripe
    disputes: list[DisputeAnswer]
    refunds: list[RefundAnswer]
    fees: list[ListedFee]
    charges: list[ListedIntent]

    @classmethod
    def read(cls, stripe: Gateway, since: float) -> "StripeSide":
        """Charges are read last, so that a refund or dispute created meanwhile has its charge in the list.

        Raises:
            Verdict: Stripe did not answer.
        """
        shares = SharesAtStripe.read(stripe, since_epoch=since)
        of_disputes = list(disputes.listed(stripe, since_epoch=since))
        of_refunds = list(refunds.listed(stripe, since_epoch=since))
        fees = list(application_fees.listed(stripe, since_epoch=since))
        return cls(shares, of_disputes, of_refunds, fees, list(payment_intents.listed(stripe, since_epoch=since)))


@dataclass(frozen=True, slots=True)
class DatabaseSide:
    """What the database holds, of one transaction.

    `ledger` is stripe_balance by (tenant, currency), payouts left
    out.
    """

    payments: dict[UUID, BookedPayment]
    refunds: list[BookedRefund]
    disputes: dict[str, BookedDispute]
    ledger: dict[tuple[UUID, str], int]
    groups: list[BookedGroup]
    shares: BookedShares
    fees: list[BookedFee]
    mints: list[BookedMint]
    unqueued: list[UUID]  # tickets that should have a mint
    events: list[Series]

    @classmethod
    def read(cls, tx: Tx) -> "DatabaseSide":
        """Read it all after Stripe: what Stripe has shown must then be here, or be missing indeed.

        Needs a system
        transaction.
        """
        return cls(
            payments={payment.payment_id: payment for payment in reconciliation_verify.payments(tx)},
            refunds=refund_verify.refunds(tx),
            disputes=refund_verify.disputes(tx),
            ledger=reconciliation_verify.stripe_balances(tx),
            groups=group_verify.groups(tx),
            shares=BookedShares.read(tx),
            fees=transfer_verify.application_fees(tx),
            mints=mint_verify.mints(tx),
            unqueued=mint_verify.tickets_without_mint(tx),
            events=series.all_series(tx),
        )
