"""Stripe fails, refuses, limits, or is slow to let go of an object."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from deploy.local.proofs.alerts.provoking.provocation import Provocation, both, orders, until_caught_up
from deploy.local.proofs.alerts.scene import Scene

INTENTS = "/v1/payment_intents*"


def _faulty(effect: str, **rule: Any) -> Callable[[Scene], AbstractContextManager[None]]:
    """Stripe behaves like that until the block is left."""

    @contextmanager
    def misbehave(scene: Scene) -> Iterator[None]:
        added = scene.control.add_fault(effect, **rule)
        yield
        scene.control.clear_faults(added)

    return misbehave


PROVOCATIONS = (
    # The breaker counts no such answer, so each of them spends a try: the budget and an open breaker spend none. First,
    # since the backlog that others leave is sent back by the budget.
    Provocation(
        "Stripe's objects are locked (429 lock_timeout)",
        frozenset({"FleetRetriesMany"}),
        _faulty("lock_timeout", path=INTENTS),
        orders,
        settle=until_caught_up,
    ),
    Provocation(
        "Stripe answers everything with 503",
        frozenset(
            {
                *("FleetStripeFailing", "FleetStripeBreakerOpen", "FleetStripeAway"),
                *("FleetPaymentsStand", "FleetPaymentsBurnFast", "FleetPaymentsBurnSlow", "FleetPaymentsBurnLong"),
                *("FleetRefundsStand", "FleetRefundsBurnFast", "FleetRefundsBurnSlow", "FleetRefundsBurnLong"),
            }
        ),
        _faulty("error", path="/v1/*", status=503, stored=False),
        both,
        settle=until_caught_up,
    ),
    Provocation(
        "Stripe refuses the key",
        frozenset({"FleetStripeKeyRefused"}),
        _faulty("error", path=INTENTS, status=401, stored=False),
        orders,
    ),
    Provocation(
        "Stripe limits our requests",
        frozenset({"FleetStripeLimitsUs"}),
        _faulty("rate_limit", path=INTENTS, reason="endpoint-rate", probability=0.8),
        orders,
    ),
)
