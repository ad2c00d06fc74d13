"""The states of a transfer to a recipient, and of a reversal of one, with their legal moves.

transfer  requested -> sending -> paid | refused (its shares are measured anew)
              +-> paid (all of it paid a receivable) | canceled (before it was sent)
reversal  requested -> sending -> reversed | short (what could not be taken back is a receivable)
              +-> short (nothing of the transfer is left to take back)
"""

from enum import StrEnum

from db.lifecycle import legal_moves


class TransferState(StrEnum):
    REQUESTED = "requested"
    SENDING = "sending"
    PAID = "paid"
    REFUSED = "refused"
    CANCELED = "canceled"


TRANSFER_MOVES = legal_moves(
    TransferState, requested="sending paid canceled", sending="paid refused", paid="", refused="", canceled=""
)


class ReversalState(StrEnum):
    REQUESTED = "requested"
    SENDING = "sending"
    REVERSED = "reversed"
    SHORT = "short"


REVERSAL_MOVES = legal_moves(ReversalState, requested="sending short", sending="reversed short", reversed="", short="")
