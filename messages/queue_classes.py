"""The classes of queues that workers serve: one class, one kind of worker process, one Deployment, one ScaledObject.

The table stands in messages/queues.py. A queue that nobody has thought of there is background: it is worked, and only
its pace is shared.
"""

from messages.queues import QUEUE_CLASSES, ROUTES, Route

BACKGROUND = "background"


def queue_classes() -> dict[str, tuple[str, ...]]:
    """Class -> its queues; every queue of work is in exactly one."""
    classes: dict[str, tuple[str, ...]] = {}
    for queue in dict.fromkeys(route.queue for route in ROUTES.values()):
        name = QUEUE_CLASSES.get(queue, BACKGROUND)
        classes[name] = (*classes.get(name, ()), queue)
    return {name: classes[name] for name in sorted(classes, key=_urgent_first)}


def _urgent_first(name: str) -> tuple[bool, str]:
    return name == BACKGROUND, name


def routes_of(queue_class: str) -> list[Route]:
    queues = queue_classes()[queue_class]
    return [route for route in ROUTES.values() if route.queue in queues]


def longest_run_seconds(queue_class: str) -> int:
    """How long one handler of this class may run: a worker that is asked to stop needs at least so much time."""
    return max(route.patience.time_limit_seconds for route in routes_of(queue_class))
