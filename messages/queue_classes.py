"""Queues that are worked, scaled and watched together: one class, one kind of worker process.

A class is what an operator scales (`fleet up --scale charges=4`, a Deployment, a ScaledObject) and the label
`queue_class` of the scale metrics. Charges get workers of their own, so that a sale never waits behind a comparison of
books; money that goes back or is saved does not wait behind charges; webhooks move what Stripe has done already. All
the rest is background, also a queue that nobody has thought of here: it is worked, and only its pace is shared.
"""

from messages.queues import ROUTES, Route

BACKGROUND = "background"
_NAMED: dict[str, tuple[str, ...]] = {
    "charges": ("charges",),
    "refunds": ("refunds", "captures"),
    "webhooks": ("webhooks", "lookups"),
}


def queue_classes() -> dict[str, tuple[str, ...]]:
    """Class -> its queues; every queue of the fleet is in exactly one."""
    named = {queue for queues in _NAMED.values() for queue in queues}
    rest = {route.queue for route in ROUTES.values()} - named
    return {**_NAMED, BACKGROUND: tuple(sorted(rest))}


def class_of(queue: str) -> str:
    """The class a queue of ours belongs to."""
    return next((name for name, queues in _NAMED.items() if queue in queues), BACKGROUND)


def routes_of(queue_class: str) -> list[Route]:
    queues = queue_classes()[queue_class]
    return [route for route in ROUTES.values() if route.queue in queues]


def longest_run_seconds(queue_class: str) -> int:
    """How long one handler of this class may run: a worker that is asked to stop needs at least so much time."""
    return max(route.time_limit_seconds for route in routes_of(queue_class))
