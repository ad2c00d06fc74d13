"""The states of a share (a recipient's part of a sale), and its legal moves.

held (in escrow) -> released -> settled -> (more was taken back, or a loss was won) released | held
                 -> settled (everything was given back while it was held)
"""

from enum import StrEnum

from db.lifecycle import legal_moves


class ShareState(StrEnum):
    HELD = "held"
    RELEASED = "released"
    SETTLED = "settled"


SHARE_MOVES = legal_moves(ShareState, held="released settled", released="settled", settled="released held")
