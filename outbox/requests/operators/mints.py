"""Failed mints that an operator wants tried again."""

from db.minting.views import MintLine
from messages.ids import PaymentId, TenantId, TicketId
from messages.mints import MintRetryRequested
from outbox.append import append
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import require


def retry_mint(acting: OperatorTransaction, mint: MintLine, *, reason: str) -> None:
    """Have a worker queue the failed mint again.

    Raises:
        RefusedError: no reason was given, or the mint has not failed.
    """
    require(reason.strip(), "give a reason")
    require(mint.state == "failed", f"the mint is {mint.state}; only a failed mint can be retried")
    tenant_id, payment_id, ticket_id = TenantId(mint.tenant_id), PaymentId(mint.payment_id), TicketId(mint.ticket_id)
    append(acting.tx, MintRetryRequested(tenant_id=tenant_id, payment_id=payment_id, ticket_id=ticket_id))
    acting.log("mint_retry", {"ticket_id": str(ticket_id), "payment_id": str(payment_id)}, reason)
