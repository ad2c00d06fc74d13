"""The states of an operator's request, and the one table of its legal moves.

    awaiting_approval -> asked -> granted | refused          asked at once, when no second operator is needed
           +-> withdrawn

The database holds the same table (legal_moves, migration 0055) and refuses every other move; a test compares the two.
"""

from collections.abc import Mapping
from enum import StrEnum


class RequestState(StrEnum):
    AWAITING_APPROVAL = "awaiting_approval"
    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


MOVES: Mapping[RequestState, frozenset[RequestState]] = {
    RequestState.AWAITING_APPROVAL: frozenset({RequestState.ASKED, RequestState.WITHDRAWN}),
    RequestState.ASKED: frozenset({RequestState.GRANTED, RequestState.REFUSED}),
    RequestState.GRANTED: frozenset(),
    RequestState.REFUSED: frozenset(),
    RequestState.WITHDRAWN: frozenset(),
}
