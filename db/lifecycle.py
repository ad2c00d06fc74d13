"""What the states of all domains share: how a table of legal moves is written, and how it is read backwards.

Each domain has its picture, its states and its table on one page, `<domain>/states.py`. The database holds the same
tables (`legal_moves`) and refuses every other move by itself; tests/db/test_lifecycle.py compares the two.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self, TypeVar

State = TypeVar("State", bound=StrEnum)


class RespelledState(StrEnum):
    """States of which `canceled` was once spelled `cancelled`: rows, histories and clients that say so are understood.

    See deploy/decisions/0011-one-spelling-of-canceled.md.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls("canceled") if value == "cancelled" else None


def legal_moves(states: type[State], **targets: str) -> dict[State, frozenset[State]]:
    """A table of legal moves: to each state, by its value, the values of those that one move leads to.

    A final state has an empty line, so that none is forgotten.

    Raises:
        ValueError: a word that is no state, or a state without a line.
    """
    moves = {states(origin): frozenset(map(states, leads_to.split())) for origin, leads_to in targets.items()}
    if missing := set(states) - moves.keys():
        raise ValueError(f"no line for {', '.join(sorted(missing))}")
    return moves


def leading_to(moves: Mapping[State, frozenset[State]], state: State) -> list[str]:
    """Names of the states from which one move of this table leads to `state`."""
    return sorted(origin.value for origin, targets in moves.items() if state in targets)
