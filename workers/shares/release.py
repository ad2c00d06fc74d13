"""A payment's shares leave escrow: the move, the shares that can be paid now, and the published event."""

from db.session import Tx
from db.shares import escrow
from db.shares.escrow import EscrowedPayment
from messages.base import Fact, Message
from messages.ids import TenantId
from messages.shares import EscrowReleased, ShareDue
from workers.ledger.booking import Booking


def release_from_escrow(tx: Tx, tenant_id: TenantId, current: EscrowedPayment, *, by: str, because: str) -> Booking:
    """Release the shares of a locked payment, and have those looked at whose recipient can be paid."""
    payable = escrow.release(tx, current.payment_id, by=by, because=because)
    messages: list[Message | Fact] = [
        ShareDue(tenant_id=tenant_id, payment_id=current.payment_id, share_id=share_id) for share_id in payable
    ]
    if current.held_minor:
        released = EscrowReleased(
            tenant_id=tenant_id,
            payment_id=current.payment_id,
            order_id=current.order_id,
            event_id=current.event_id,
            amount=current.held,
            reason=because,
        )
        messages.append(released)
    return Booking(messages=messages)
