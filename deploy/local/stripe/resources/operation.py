"""What the list of operations is made of."""

from collections.abc import Callable
from dataclasses import dataclass

from ..wire.errors import Json
from ..wire.parameters import Parameters
from ..world import Call


@dataclass(frozen=True)
class Operation:
    method: str
    template: str
    takes: Parameters
    answer: Callable[[Call], Json]
    check: Callable[[Json], None] | None = None
