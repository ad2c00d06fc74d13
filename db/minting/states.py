"""The states of a mint (one paid ticket on its way to a token) and of a nonce of a signer, with their legal moves.

    mint      queued -> submitted -> mined -> confirmed -> voiding -> voided (the ticket was refunded)
                ^          |  ^-------+----------+ (reorganised away)
                +-- failed, or the transaction came to nothing; a refund before the mint -> canceled

    nonce     open -> mined -> final (too deep to be reorganised)
                +---> reverted | lost        back to open from each, when its block is reorganised away

The table of nonces is called `slots`, and so is their subject in `legal_moves`.
"""

from enum import StrEnum

from db.lifecycle import legal_moves


class MintState(StrEnum):
    QUEUED = "queued"
    SUBMITTED = "submitted"
    MINED = "mined"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELED = "canceled"
    VOIDING = "voiding"
    VOIDED = "voided"


MINT_MOVES = legal_moves(
    MintState,
    queued="submitted confirmed failed canceled",
    submitted="mined queued failed",
    mined="confirmed submitted",
    confirmed="submitted voiding",
    failed="queued canceled",
    canceled="",
    voiding="voided confirmed",
    voided="voiding",
)


class NonceState(StrEnum):
    """One nonce of a signer. `lost`: somebody else's transaction took it; `final`: too deep to be reorganised."""

    OPEN = "open"
    MINED = "mined"
    FINAL = "final"
    REVERTED = "reverted"
    LOST = "lost"


NONCE_MOVES = legal_moves(
    NonceState,
    open="mined reverted lost",
    mined="final open",
    final="open",
    reverted="open",
    lost="open",
)
