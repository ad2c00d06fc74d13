"""The two sides that the checker compares: what Stripe lists, and what the book says at one moment."""

from dataclasses import dataclass
from uuid import UUID

from db.groups import verify as audit_groups
from db.groups.verify import BookedGroup
from db.minting import series
from db.minting import verify as audit_mints
from db.minting.series import Series
from db.minting.verify import BookedMint
from db.reconciliation import verify as audit
from db.reconciliation.verify import BookedPayment
from db.refunds import verify as audit_refunds
from db.refunds.verify import BookedDispute, BookedRefund
from db.session import Tx
from db.transfers import verify as audit_fees
from db.transfers.verify import BookedFee
from stripe_client import application_fees, disputes, payment_intents, refunds
from stripe_client.application_fees import ListedFee
from stripe_client.gateway import Gateway
from stripe_client.outcomes import DisputeAnswer, RefundAnswer
from stripe_client.payment_intents import Listed
from workers.verify.shares import SharesAtStripe, SharesInBook


@dataclass(frozen=True, slots=True)
class AtStripe:
    shares: SharesAtStripe
    disputes: list[DisputeAnswer]
    refunds: list[RefundAnswer]
    fees: list[ListedFee]
    charges: list[Listed]

    @classmethod
    def read(cls, stripe: Gateway, since: float) -> "AtStripe":
        """The youngest first: a refund or dispute made meanwhile then has its charge among those listed later.

        Raises:
            Verdict: Stripe did not answer.
        """
        shares = SharesAtStripe.read(stripe, since_epoch=since)
        of_disputes = list(disputes.listed(stripe, since_epoch=since))
        of_refunds = list(refunds.listed(stripe, since_epoch=since))
        fees = list(application_fees.listed(stripe, since_epoch=since))
        return cls(shares, of_disputes, of_refunds, fees, list(payment_intents.listed(stripe, since_epoch=since)))


@dataclass(frozen=True, slots=True)
class InBook:
    payments: dict[UUID, BookedPayment]
    refunds: list[BookedRefund]
    disputes: dict[str, BookedDispute]
    ledger: dict[tuple[UUID, str], int]
    groups: list[BookedGroup]
    shares: SharesInBook
    fees: list[BookedFee]
    mints: list[BookedMint]
    unqueued: list[UUID]  # tickets that should have a mint
    events: list[Series]

    @classmethod
    def read(cls, tx: Tx) -> "InBook":
        return cls(
            payments={payment.payment_id: payment for payment in audit.payments(tx)},
            refunds=audit_refunds.refunds(tx),
            disputes=audit_refunds.disputes(tx),
            ledger=audit.stripe_balances(tx),
            groups=audit_groups.groups(tx),
            shares=SharesInBook.read(tx),
            fees=audit_fees.application_fees(tx),
            mints=audit_mints.mints(tx),
            unqueued=audit_mints.tickets_without_mint(tx),
            events=series.all_series(tx),
        )
