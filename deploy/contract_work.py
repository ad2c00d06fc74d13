"""One example of each internal message."""

from uuid import UUID

from deploy.contract_examples import (
    AT,
    BATCH,
    DISPUTE,
    GROUP,
    PAYMENT,
    REFUND,
    SHARE,
    TENANT,
    TICKET,
)
from messages.base import Message
from messages.disputes import (
    DisputeCloseRequested,
    DisputeLookupRequested,
    EvidenceSubmissionRequested,
)
from messages.groups import (
    GroupCancelDue,
    GroupDue,
)
from messages.ids import (
    ReversalId,
    TransferId,
)
from messages.mints import MintRequested, MintRetryRequested
from messages.payments import (
    ChargeRequested,
    PaymentLookupRequested,
)
from messages.reconciliation import (
    ConnectedPayoutsDue,
    EventSweepDue,
    PayoutsDue,
    ReconcileDue,
    RetentionDue,
    SealDue,
    ShareReconciliationDue,
)
from messages.refunds import (
    CancelRequested,
    CaptureRequested,
    EventCancellationDue,
    OpsRefundDue,
    RefundLookupRequested,
    RefundRequested,
)
from messages.replays import ClassifyDue, ReplayDue
from messages.shares import (
    AccountLookupRequested,
    EscrowDue,
    OpsEscrowDue,
    ReversalRequested,
    ShareDue,
    StatementsDue,
    TransferRequested,
)
from messages.sweeps import SweepDue
from messages.webhooks import WebhookReceived

MESSAGES: tuple[Message, ...] = (
    ChargeRequested(tenant_id=TENANT, payment_id=PAYMENT),
    PaymentLookupRequested(tenant_id=TENANT, payment_id=PAYMENT),
    RefundRequested(tenant_id=TENANT, payment_id=PAYMENT, refund_id=REFUND),
    RefundLookupRequested(tenant_id=TENANT, payment_id=PAYMENT, refund_id=REFUND),
    CaptureRequested(tenant_id=TENANT, payment_id=PAYMENT),
    CancelRequested(tenant_id=TENANT, payment_id=PAYMENT),
    OpsEscrowDue(tenant_id=TENANT, payment_id=PAYMENT, wish_id=BATCH),
    ShareDue(tenant_id=TENANT, payment_id=PAYMENT, share_id=SHARE),
    TransferRequested(tenant_id=TENANT, transfer_id=TransferId(UUID("019aa5b2-9e20-7b31-8c42-d5e6f7081930"))),
    ReversalRequested(tenant_id=TENANT, reversal_id=ReversalId(UUID("019aa5ba-0f31-7a42-9b53-c6d7e8f90a41"))),
    AccountLookupRequested(account_id="acct_1SVbS9LkdIwHu7ix"),
    EscrowDue(due_at=AT.replace(second=0, microsecond=0)),
    StatementsDue(due_at=AT.replace(hour=0, minute=0, second=0, microsecond=0)),
    WebhookReceived(tenant_id=TENANT, payment_id=PAYMENT, event_id="evt_1SVbQ2LkdIwHu7ixA9cX4f0M"),
    DisputeLookupRequested(tenant_id=TENANT, payment_id=PAYMENT, dispute_id=DISPUTE),
    EvidenceSubmissionRequested(tenant_id=TENANT, payment_id=PAYMENT, dispute_id=DISPUTE),
    DisputeCloseRequested(tenant_id=TENANT, payment_id=PAYMENT, dispute_id=DISPUTE),
    MintRequested(tenant_id=TENANT, payment_id=PAYMENT),
    MintRetryRequested(tenant_id=TENANT, payment_id=PAYMENT, ticket_id=TICKET),
    ClassifyDue(batch_id=BATCH),
    ReplayDue(batch_id=BATCH),
    EventCancellationDue(tenant_id=TENANT, cancellation_id=BATCH, step=7),
    OpsRefundDue(tenant_id=TENANT, payment_id=PAYMENT, request_id=BATCH),
    GroupDue(tenant_id=TENANT, group_id=GROUP),
    GroupCancelDue(tenant_id=TENANT, group_id=GROUP, reason="requested by the organiser", by="oda"),
    SweepDue(tenant_id=None, due_at=AT.replace(second=0, microsecond=0)),
    EventSweepDue(due_at=AT.replace(second=0, microsecond=0)),
    SealDue(due_at=AT.replace(second=0, microsecond=0)),
    ReconcileDue(span="rolling", due_at=AT.replace(second=0, microsecond=0)),
    ShareReconciliationDue(span="rolling", due_at=AT.replace(second=0, microsecond=0)),
    PayoutsDue(due_at=AT.replace(second=0, microsecond=0), payout_id="po_1SVbQ2LkdIwHu7ixA9cX4f0M"),
    ConnectedPayoutsDue(due_at=AT.replace(second=0, microsecond=0), account_id="acct_1SVbQ2LkdIwHu7ix"),
    RetentionDue(due_at=AT.replace(hour=0, minute=0, second=0, microsecond=0)),
)
