"""What a recipient owes us because money could not be taken back. Its next transfers pay it (netting)."""

from loguru import logger

from db.ledger.journals import Journal
from db.session import Tx
from db.shares import booking as share_booking
from db.shares import shares
from db.shares.shares import Share
from messages.money import Money
from workers.ledger.booking import Booking


def become_receivable(tx: Tx, current: Share, missing: Money, *, reason: str) -> Booking:
    """Write that the locked share's recipient owes `missing`; its journal, which is named after the receivable."""
    receivable_id = shares.owe(tx, current.share_id, missing, reason=reason)
    logger.warning("recipient owes {}: {}", missing, reason, recipient_id=current.recipient_id)
    entries = share_booking.receivable_entries(current.owner, missing)
    return Booking([Journal("receivable", str(receivable_id), entries)])
