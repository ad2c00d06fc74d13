"""The states of an operator's request, and the one table of its legal moves.

    awaiting_approval -> asked -> granted | refused          asked at once, when no second operator is needed
           +-> withdrawn

The database refuses every other move by itself (legal_moves, migration 0055), and the first one without an approval.
"""

from enum import StrEnum

from db.lifecycle import legal_moves


class RequestState(StrEnum):
    AWAITING_APPROVAL = "awaiting_approval"
    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


REQUEST_MOVES = legal_moves(
    RequestState,
    awaiting_approval="asked withdrawn",
    asked="granted refused",
    granted="",
    refused="",
    withdrawn="",
)
