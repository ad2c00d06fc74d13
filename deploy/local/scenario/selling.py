"""A sale is published at its pace; buyers ask for what they want meanwhile, and Stripe acts by itself once."""

import time
from collections.abc import Callable

from rich.console import Console

from deploy.local.scenario.events import Publication
from deploy.local.scenario.order_service import OrderService

LINE_SECONDS = 5.0
# The part of the sale after which Stripe acts by itself on what was charged so far.
STRIPE_ACTS_AFTER = 0.7


def sell(
    service: OrderService,
    sale: list[Publication],
    *,
    rate: float,
    console: Console,
    line: Callable[[int], str],
    stripe_acts: Callable[[], None],
) -> int:
    """Returns how much buyers asked for; `line` says how it stands, given that number."""
    asked, printed, acted = 0, 0.0, False
    for _ in service.publish(sale, rate=rate):
        asked += service.publish_requests()
        if time.monotonic() - printed > LINE_SECONDS:
            printed = time.monotonic()
            console.print(line(asked))
        if not acted and service.published > len(sale) * STRIPE_ACTS_AFTER:
            acted = True
            stripe_acts()
    return asked
