"""What is done to the fleet so that each alert has its reason. Most reasons are real: a server that is killed, a Stripe
that fails, a key that is refused. Where only days would bring it, a time is moved in the database; it says so.
"""

from deploy.local.proofs.alerts.provoking import money, servers, shares, stripe, tokens, webhooks
from deploy.local.proofs.alerts.provoking.provocation import Provocation

# What is done last of a topic may leave something behind: a case, somebody who owes, a dead letter.
PROVOCATIONS: tuple[Provocation, ...] = (
    *money.FIRST,
    *webhooks.FIRST,
    *servers.FIRST,
    *(each for topic in (stripe, webhooks, servers, tokens, shares, money) for each in topic.PROVOCATIONS),
)
__all__ = ["PROVOCATIONS", "Provocation"]
