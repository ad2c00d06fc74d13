"""ONE table: message -> queue, tries, backoff, time limit. The only place where patience is written.

The rings of patience (each shorter than the next): tenacity inside one Stripe call (under a few seconds) < the backoff
here (seconds to minutes) < TryLater (hours) < the sweep (what fell between).
"""

from dataclasses import dataclass

from messages.base import Fact, Message
from messages.disputes import (
    DisputeClosed,
    DisputeCloseRequested,
    DisputeEvidenceDue,
    DisputeLookupRequested,
    DisputeOpened,
    EvidenceSubmissionRequested,
)
from messages.groups import (
    GroupCancelDue,
    GroupCompleted,
    GroupDue,
    GroupExpired,
    GroupMemberInvited,
    GroupMemberPaid,
    GroupMemberRefunded,
    GroupReminderDue,
    GroupVoided,
)
from messages.mints import MintRequested, MintRetryRequested, TicketMinted, TicketMintFailed, TicketVoided
from messages.payments import (
    ChargeRequested,
    PaymentAuthorized,
    PaymentFailed,
    PaymentLookupRequested,
    PaymentRequiresAction,
    PaymentSucceeded,
)
from messages.reconciliation import (
    ConnectedPayoutsDue,
    EventSweepDue,
    PayoutsDue,
    ReconcileDue,
    RetentionDue,
    SealDue,
    ShareReconcileDue,
)
from messages.refunds import (
    CancelRequested,
    CaptureRequested,
    EventCancellationDue,
    OpsRefundDue,
    PaymentSucceededLate,
    RefundFailed,
    RefundLookupRequested,
    RefundRequested,
    RefundSucceeded,
)
from messages.replays import ClassifyDue, ReplayDue
from messages.runtime.priority import Urgency
from messages.shares import (
    AccountLookupRequested,
    EscrowDue,
    EscrowReleased,
    OpsEscrowDue,
    ReversalRequested,
    ShareDue,
    ShareSettled,
    ShareTakenBack,
    StatementsDue,
    TransferRequested,
)
from messages.sweeps import SweepDue
from messages.webhooks import WebhookReceived


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message waits and how long we stay with it.

    backoff: retry n waits a random time up to min(base * 2**n, ceiling) seconds (full jitter, so that a thousand
    failures of one second do not come back in one second). time_limit_seconds bounds one run of the handler and must
    stay far below RabbitMQ's consumer timeout of 30 minutes.
    """

    queue: str
    tries: int
    backoff_base_seconds: float
    backoff_ceiling_seconds: float
    time_limit_seconds: int
    max_age_seconds: int


# The Stripe call inside one run takes at most (2 s connect + 20 s read) x 2 attempts; 90 s leaves room for the book.
ROUTES: dict[type[Message], Route] = {
    ChargeRequested: Route("charges", 12, 1.0, 300.0, 90, 7 * 86_400),
    PaymentLookupRequested: Route("lookups", 8, 2.0, 300.0, 90, 2 * 86_400),
    # A refund waits as long as it takes: the buyer is owed it. TryLater spends no try.
    RefundRequested: Route("refunds", 12, 1.0, 300.0, 90, 30 * 86_400),
    RefundLookupRequested: Route("lookups", 8, 2.0, 300.0, 90, 2 * 86_400),
    CaptureRequested: Route("captures", 12, 1.0, 300.0, 90, 7 * 86_400),
    CancelRequested: Route("captures", 12, 1.0, 300.0, 90, 30 * 86_400),
    # Evidence is due in days: what does not go through within hours is a dead letter that a person sees in time.
    EvidenceSubmissionRequested: Route("disputes", 12, 1.0, 300.0, 90, 2 * 86_400),
    DisputeCloseRequested: Route("disputes", 12, 1.0, 300.0, 90, 2 * 86_400),
    DisputeLookupRequested: Route("lookups", 8, 2.0, 300.0, 90, 2 * 86_400),
    # One message a second and event. It waits as long as Stripe's balance is too small: TryLater spends no try.
    EventCancellationDue: Route("event_cancellations", 12, 1.0, 120.0, 120, 30 * 86_400),
    # Reminders and deadlines are written when the group is opened, and may be due months later.
    GroupDue: Route("groups", 12, 0.5, 120.0, 60, 200 * 86_400),
    GroupCancelDue: Route("groups", 12, 0.5, 120.0, 60, 86_400),
    # A share waits in its row, not in a message. What asks Stripe for money waits as long as a refund does.
    ShareDue: Route("shares", 12, 1.0, 120.0, 60, 7 * 86_400),
    TransferRequested: Route("transfers", 12, 1.0, 300.0, 90, 30 * 86_400),
    ReversalRequested: Route("transfers", 12, 1.0, 300.0, 90, 30 * 86_400),
    AccountLookupRequested: Route("lookups", 8, 2.0, 300.0, 90, 2 * 86_400),
    EscrowDue: Route("sweeps", 3, 2.0, 30.0, 120, 3_600),
    StatementsDue: Route("reconciliation", 6, 2.0, 120.0, 180, 6 * 3_600),
    WebhookReceived: Route("webhooks", 12, 0.5, 300.0, 90, 30 * 86_400),
    ClassifyDue: Route("replays", 20, 1.0, 60.0, 180, 86_400),
    ReplayDue: Route("replays", 20, 1.0, 60.0, 180, 7 * 86_400),
    # A person waits for the answer.
    OpsRefundDue: Route("replays", 12, 1.0, 60.0, 60, 86_400),
    # Only rows of the book: the minter takes them to the chain at the chain's own pace.
    MintRequested: Route("mints", 12, 1.0, 300.0, 60, 30 * 86_400),
    MintRetryRequested: Route("mints", 12, 1.0, 300.0, 60, 7 * 86_400),
    OpsEscrowDue: Route("replays", 12, 1.0, 60.0, 60, 86_400),
    SweepDue: Route("sweeps", 3, 2.0, 30.0, 120, 3_600),
    # One run does what it can in its time and appends the next; what is lost is due again within minutes anyway.
    EventSweepDue: Route("reconciliation", 6, 2.0, 120.0, 180, 3_600),
    SealDue: Route("reconciliation", 3, 2.0, 60.0, 120, 3_600),
    ReconcileDue: Route("reconciliation", 6, 2.0, 120.0, 180, 6 * 3_600),
    ShareReconcileDue: Route("reconciliation", 6, 2.0, 120.0, 180, 6 * 3_600),
    PayoutsDue: Route("reconciliation", 6, 2.0, 120.0, 180, 6 * 3_600),
    ConnectedPayoutsDue: Route("reconciliation", 6, 2.0, 120.0, 180, 6 * 3_600),
    RetentionDue: Route("reconciliation", 3, 2.0, 60.0, 180, 6 * 3_600),
}

# Queue -> class: what is worked, scaled and watched as one (workers.main --queue-class, metrics' label queue_class).
# Charges have workers of their own, so that a sale never waits behind a comparison of books; money that goes back or is
# saved does not wait behind charges; webhooks and lookups move what Stripe has done already.
QUEUE_CLASSES: dict[str, str] = {
    "charges": "charges",
    "captures": "refunds",
    "refunds": "refunds",
    "event_cancellations": "refunds",
    "webhooks": "webhooks",
    "lookups": "webhooks",
    "groups": "background",
    "shares": "background",
    "transfers": "background",
    "disputes": "background",
    "replays": "background",
    "sweeps": "background",
    "reconciliation": "background",
    "mints": "background",
    "fleet.orders": "orders",
    "fleet.dead": "dead-letters",
}


def class_of(queue: str) -> str:
    """The class of a queue; one that nobody has thought of is background.

    Facts for other services are a class of their own, which only the relay serves.
    """
    return QUEUE_CLASSES.get(queue, "events" if queue == EVENTS_EXCHANGE else "background")


def queues_of(queue_class: str) -> list[str]:
    return [queue for queue, one in QUEUE_CLASSES.items() if one == queue_class]


# For the budget of requests to Stripe: what brings money back or saves it goes before new charges, and what only
# compares goes last. Everything else is NORMAL.
FIRST: frozenset[type[Message]] = frozenset(
    {
        *(RefundRequested, RefundLookupRequested, CaptureRequested, CancelRequested),
        *(EvidenceSubmissionRequested, DisputeCloseRequested, ReversalRequested),
    }
)
LAST: frozenset[type[Message]] = frozenset(
    {
        *(ClassifyDue, SweepDue, EventSweepDue, ReconcileDue, ShareReconcileDue, PayoutsDue),
        *(ConnectedPayoutsDue, RetentionDue),
    }
)

# What a pause of charges holds back, and what a pause of everything does (workers/runtime/pauses.py). What only asks
# Stripe goes on in either.
HELD_BY_ANY_PAUSE: frozenset[type[Message]] = frozenset({ChargeRequested})
HELD_BY_FULL_PAUSE = HELD_BY_ANY_PAUSE | {
    *(RefundRequested, CaptureRequested, CancelRequested),
    *(TransferRequested, ReversalRequested),
}


def urgency_of(message: Message) -> Urgency:
    if type(message) in FIRST:
        return Urgency.FIRST
    return Urgency.LAST if type(message) in LAST else Urgency.NORMAL


# Facts for other services leave through this topic exchange, with the event's type as routing key.
EVENTS_EXCHANGE = "payments"
PUBLIC_EVENTS: tuple[type[Fact], ...] = (
    PaymentSucceeded,
    PaymentFailed,
    PaymentRequiresAction,
    PaymentAuthorized,
    PaymentSucceededLate,
    RefundSucceeded,
    RefundFailed,
    DisputeOpened,
    DisputeEvidenceDue,
    DisputeClosed,
    TicketMinted,
    TicketMintFailed,
    TicketVoided,
    GroupMemberInvited,
    GroupReminderDue,
    GroupMemberPaid,
    GroupCompleted,
    GroupExpired,
    GroupMemberRefunded,
    GroupVoided,
    EscrowReleased,
    ShareSettled,
    ShareTakenBack,
)
# Where the order service picks them up. We declare it, so that a fact told before its listener started is kept.
ORDER_SERVICE_QUEUE = "order-service.payments"
# What the notification service writes to people about; the same holds for it.
NOTIFICATION_QUEUE = "notification-service.groups"
NOTIFIED: tuple[type[Fact], ...] = (GroupMemberInvited, GroupReminderDue, GroupExpired, GroupMemberRefunded)

# The order service publishes here; the queue is ours.
ORDERS_EXCHANGE = "orders"
ORDERS_QUEUE = "fleet.orders"
ORDERS_BINDING = "order.#"
# No order event is larger than this; a larger body is not read but dead-lettered.
LARGEST_ORDER_BYTES = 256 * 1024

DEAD_LETTER_EXCHANGE = "fleet.dead"
DEAD_LETTER_QUEUE = "fleet.dead"
# Deliveries of one message before the broker itself sets it aside: it has killed its worker that many times.
DELIVERY_LIMIT = 20
# Their messages run for minutes, or one of them is due every few; a worker process holds two at most and leaves the
# rest to the others (outbox/broker/dramatiq_broker.py).
SLOW_QUEUES = frozenset({"event_cancellations", "reconciliation", "replays", "sweeps"})
HELD_OF_SLOW_QUEUES = 2


def kind_to_message() -> dict[str, type[Message]]:
    """Actor name on the wire -> message class."""
    return {message.kind: message for message in ROUTES}
