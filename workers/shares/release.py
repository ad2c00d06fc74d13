"""A payment's shares leave escrow: the move, what brings them to their recipients, and what others hear of it."""

from db.session import Tx
from db.shares import escrow
from db.shares.escrow import EscrowedPayment
from messages.ids import TenantId
from messages.shares import EscrowReleased, ShareDue
from outbox.append import append


def let_go(tx: Tx, tenant_id: TenantId, current: EscrowedPayment, *, by: str, because: str) -> None:
    """Let the shares of a locked payment go, and have those brought whose recipient can be paid."""
    payable = escrow.release(tx, current.payment_id, by=by, because=because)
    append(
        tx, *[ShareDue(tenant_id=tenant_id, payment_id=current.payment_id, share_id=share_id) for share_id in payable]
    )
    if current.held_minor:
        append(
            tx,
            EscrowReleased(
                tenant_id=tenant_id,
                payment_id=current.payment_id,
                order_id=current.order_id,
                event_id=current.event_id,
                amount=current.held,
                reason=because,
            ),
        )
