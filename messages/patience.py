"""How long the fleet stays with a message whose handler fails: presets, each named after the work that has it.

The rings of patience (each shorter than the next): tenacity inside one Stripe call (under a few seconds) < the backoff
here (seconds to minutes) < TryLater (hours) < the sweep (what fell between). A Stripe call inside one run takes at most
(2 s connect + 20 s read) x 2 attempts, so that a time limit of 90 s leaves room for the database.

preset        tries  backoff, seconds  time limit  greatest age
MONEY            12      1 up to 300        90 s         7 days
LOOK_UP           8      2 up to 300        90 s         2 days
WEBHOOK          12    0.5 up to 300        90 s        30 days
MINT             12      1 up to 300        60 s        30 days
MASS_REFUND      12      1 up to 120       120 s        30 days
GROUP            12    0.5 up to 120        60 s          1 day
SHARE            12      1 up to 120        60 s         7 days
REPLAY           20      1 up to  60       180 s         7 days
OPERATOR         12      1 up to  60        60 s          1 day
SWEEP             3      2 up to  30       120 s         1 hour
SEAL              3      2 up to  60       120 s         1 hour
RETENTION         3      2 up to  60       180 s        6 hours
PERIODIC          6      2 up to 120       180 s        6 hours
"""

from dataclasses import dataclass, replace

HOUR = 3_600
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Patience:
    """What a queue's row promises to its messages.

    tries: runs that may fail before the message is a dead letter; TryLater spends none. backoff: retry n waits a random
    time up to min(base * 2**n, ceiling) seconds (full jitter, so that a thousand failures of one second do not return
    in one second). time_limit_seconds bounds one run of the handler, and stays far below RabbitMQ's consumer timeout of
    30 minutes. max_age_seconds: a message that still fails at this age is a dead letter, whatever its tries.
    """

    tries: int
    backoff_base_seconds: float
    backoff_ceiling_seconds: float
    time_limit_seconds: int
    max_age_seconds: int

    def up_to(self, *, days: int = 0, hours: int = 0) -> "Patience":
        """The same with another greatest age."""
        return replace(self, max_age_seconds=days * DAY + hours * HOUR)


MONEY = Patience(12, 1.0, 300.0, 90, 7 * DAY)
"""One call that moves money at Stripe: 12 tries within about half an hour of failures, at most 7 days."""

LOOK_UP = Patience(8, 2.0, 300.0, 90, 2 * DAY)
"""A question to Stripe that moves nothing; the sweep asks it again when it is lost."""

WEBHOOK = Patience(12, 0.5, 300.0, 90, 30 * DAY)
"""An event that Stripe has sent once and does not send again after our 2xx."""

MINT = Patience(12, 1.0, 300.0, 60, 30 * DAY)
"""Rows of the database only: the minter takes them to the chain at the chain's own pace."""

MASS_REFUND = Patience(12, 1.0, 120.0, 120, 30 * DAY)
"""A step of a mass refund: one message a second and event."""

GROUP = Patience(12, 0.5, 120.0, 60, 1 * DAY)
"""A state change of a group payment, for which several buyers wait."""

SHARE = Patience(12, 1.0, 120.0, 60, 7 * DAY)
"""A comparison of what a share is owed with what was paid; the share waits in its row, not in a message."""

REPLAY = Patience(20, 1.0, 60.0, 180, 7 * DAY)
"""A step of a batch of dead letters, which asks Stripe about each of them."""

OPERATOR = Patience(12, 1.0, 60.0, 60, 1 * DAY)
"""A request of an operator, who waits for the answer."""

SWEEP = Patience(3, 2.0, 30.0, 120, 1 * HOUR)
"""Periodic work that is due again within a minute or two."""

SEAL = Patience(3, 2.0, 60.0, 120, 1 * HOUR)
"""The hash chain over the ledger, due every minute."""

RETENTION = Patience(3, 2.0, 60.0, 180, 6 * HOUR)
"""The deletion of old rows, due every six hours."""

PERIODIC = Patience(6, 2.0, 120.0, 180, 6 * HOUR)
"""A comparison with Stripe that works for minutes. One run does what it can in its time and appends the next."""
