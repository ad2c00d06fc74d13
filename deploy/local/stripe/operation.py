"""What the list of operations is made of."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.local.stripe.wire.errors import Json
from deploy.local.stripe.wire.parameters import Parameters
from deploy.local.stripe.world import Call


@dataclass(frozen=True)
class Operation:
    method: str
    template: str
    takes: Parameters
    answer: Callable[[Call], Json]
    check: Callable[[Json], None] | None = None
