"""ONE table: message -> queue, patience (messages/patience.py), urgency, and when it is due if it is periodic.

Whoever asks any of these of a message derives it from here: the workers, the scheduler, the replay checks, the rate
limiter, the contracts.
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
from messages.patience import (
    GROUP,
    LOOK_UP,
    MASS_REFUND,
    MINT,
    MONEY,
    OPERATOR,
    PERIODIC,
    REPLAY,
    RETENTION,
    SEAL,
    SHARE,
    SWEEP,
    WEBHOOK,
    Patience,
)
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
    ShareReconciliationDue,
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

FIRST, LAST = Urgency.FIRST, Urgency.LAST


@dataclass(frozen=True, slots=True)
class Every:
    """A due time of periodic work, every `seconds` from the epoch on.

    `name` is its key in the table schedule_runs, `span` what a message that has one carries beside its due time.
    """

    name: str
    seconds: int
    span: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message waits, how long we stay with it, and what it yields to.

    urgency: its place in the budget of requests to Stripe. What brings money back or saves it goes FIRST; what only
    compares goes LAST, and periodic work always does. due: the due times of periodic work, which the scheduler appends
    and nobody replays, since the next one does the same.
    """

    queue: str
    patience: Patience
    urgency: Urgency = Urgency.NORMAL
    due: tuple[Every, ...] = ()

    def __post_init__(self) -> None:
        assert not self.due or self.urgency is Urgency.LAST, "nobody waits for periodic work"

    @property
    def is_periodic(self) -> bool:
        return bool(self.due)


def _periodic(queue: str, patience: Patience, *due: Every) -> Route:
    return Route(queue, patience, Urgency.LAST, due)


ROUTES: dict[type[Message], Route] = {
    ChargeRequested: Route("charges", MONEY),
    PaymentLookupRequested: Route("lookups", LOOK_UP),
    # A refund waits as long as it takes: the buyer is owed it. TryLater spends no try.
    RefundRequested: Route("refunds", MONEY.up_to(days=30), FIRST),
    RefundLookupRequested: Route("lookups", LOOK_UP, FIRST),
    CaptureRequested: Route("captures", MONEY, FIRST),
    CancelRequested: Route("captures", MONEY.up_to(days=30), FIRST),
    # Evidence is due in days: what does not go through within hours is a dead letter that a person sees in time.
    EvidenceSubmissionRequested: Route("disputes", MONEY.up_to(days=2), FIRST),
    DisputeCloseRequested: Route("disputes", MONEY.up_to(days=2), FIRST),
    DisputeLookupRequested: Route("lookups", LOOK_UP),
    # It waits as long as Stripe's balance is too small: TryLater spends no try.
    EventCancellationDue: Route("event_cancellations", MASS_REFUND),
    # Reminders and deadlines are written when the group is opened, and may be due months later.
    GroupDue: Route("groups", GROUP.up_to(days=200)),
    GroupCancelDue: Route("groups", GROUP),
    ShareDue: Route("shares", SHARE),
    # What asks Stripe to move a share waits as long as a refund does.
    TransferRequested: Route("transfers", MONEY.up_to(days=30)),
    ReversalRequested: Route("transfers", MONEY.up_to(days=30), FIRST),
    AccountLookupRequested: Route("lookups", LOOK_UP),
    EscrowDue: _periodic("sweeps", SWEEP, Every("escrow", 60)),
    # As the daily reconciliation: looked at every hour, and done once a week for each recipient.
    StatementsDue: _periodic("reconciliation", PERIODIC, Every("statements", 3_600)),
    WebhookReceived: Route("webhooks", WEBHOOK),
    ClassifyDue: Route("replays", REPLAY.up_to(days=1), LAST),
    ReplayDue: Route("replays", REPLAY),
    OpsRefundDue: Route("replays", OPERATOR),
    MintRequested: Route("mints", MINT),
    MintRetryRequested: Route("mints", MINT.up_to(days=7)),
    OpsEscrowDue: Route("replays", OPERATOR),
    SweepDue: _periodic("sweeps", SWEEP, Every("sweep", 30)),
    # What is lost is due again within minutes.
    EventSweepDue: _periodic("reconciliation", PERIODIC.up_to(hours=1), Every("event_sweep", 180)),
    SealDue: _periodic("reconciliation", SEAL, Every("seal_ledger", 60)),
    # The daily ones are due every hour and begin once a day: an hour without Stripe does not cost the whole day.
    ReconcileDue: _periodic(
        "reconciliation",
        PERIODIC,
        Every("reconcile_rolling", 300, span="rolling"),
        Every("reconcile_daily", 3_600, span="daily"),
    ),
    ShareReconciliationDue: _periodic(
        "reconciliation",
        PERIODIC,
        Every("royalty_reconcile_rolling", 900, span="rolling"),
        Every("royalty_reconcile_daily", 3_600, span="daily"),
    ),
    PayoutsDue: _periodic("reconciliation", PERIODIC, Every("payouts", 900)),
    ConnectedPayoutsDue: _periodic("reconciliation", PERIODIC, Every("connected_payouts", 900)),
    RetentionDue: _periodic("reconciliation", RETENTION, Every("retention", 6 * 3_600)),
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


# What a pause of charges holds back, and what a pause of everything does (workers/runtime/pauses.py). What only asks
# Stripe goes on in either.
HELD_BY_ANY_PAUSE: frozenset[type[Message]] = frozenset({ChargeRequested})
HELD_BY_FULL_PAUSE = HELD_BY_ANY_PAUSE | {
    *(RefundRequested, CaptureRequested, CancelRequested),
    *(TransferRequested, ReversalRequested),
}


def urgency_of(message: Message) -> Urgency:
    """The message's place in the budget of requests to Stripe."""
    return ROUTES[type(message)].urgency


def periodic_work() -> list[tuple[type[Message], Every]]:
    """What the scheduler appends, and when."""
    return [(message, every) for message, route in ROUTES.items() for every in route.due]


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
