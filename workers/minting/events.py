"""What is published about a ticket's token, in the transaction that moves it and in the trace of its payment."""

from collections.abc import Callable, Sequence
from datetime import datetime

from db.minting import submissions
from db.minting.mints import Mint
from db.session import Tx
from messages.base import Fact
from messages.mints import TicketMinted, TicketMintFailed, TicketVoided
from messages.runtime import trace
from outbox.append import append_traced
from outbox.process.metrics import MINTS
from workers.minting.context import MintingContext
from workers.minting.spans import spans


def tell_minted(tx: Tx, means: MintingContext, confirmed: Sequence[Mint], *, mined: datetime | None = None) -> None:
    """Append `ticket.minted` once for each ticket, also when a deep reorganisation makes it confirm again.

    `mined` is the time of its block, where the span of the confirmation begins.
    """
    first = submissions.first_told(tx, [mint.token_id for mint in confirmed])
    new = [mint for mint in confirmed if mint.token_id in first]
    where = {"chain_id": means.chain_id, "contract": means.contract}
    _tell(
        tx,
        "confirm mint",
        new,
        lambda mint: TicketMinted.model_validate(_facts(mint) | where | {"owner": mint.to_address}),
        began=mined,
    )
    MINTS.labels("minted").inc(len(new))


def tell_failed(tx: Tx, failed: Sequence[Mint], reason: str) -> None:
    """Append `ticket.mint_failed`; a ticket that an operator retries may fail, and be published, again."""
    _tell(
        tx,
        "fail mint",
        failed,
        lambda mint: TicketMintFailed.model_validate(_facts(mint) | {"reason": reason}),
        failed_as="failed",
    )
    MINTS.labels("failed").inc(len(failed))


def tell_voided(tx: Tx, means: MintingContext, voided: Sequence[Mint]) -> None:
    """Append `ticket.voided`: the token belongs to nobody's wallet any more (Tickets.sol, VOID)."""
    where = {"chain_id": means.chain_id, "contract": means.contract}
    _tell(tx, "confirm void", voided, lambda mint: TicketVoided.model_validate(_facts(mint) | where))
    MINTS.labels("voided").inc(len(voided))


def _tell(
    tx: Tx,
    name: str,
    moved: Sequence[Mint],
    fact_of: Callable[[Mint], Fact],
    *,
    began: datetime | None = None,
    failed_as: str | None = None,
) -> None:
    with spans(name, moved, began=began) as span:
        if failed_as is not None:
            span.fail(failed_as)
        append_traced(tx, [(fact_of(mint), mint.trace_id or trace.new()) for mint in moved])


def _facts(mint: Mint) -> dict[str, object]:
    return {
        "tenant_id": mint.tenant_id,
        "payment_id": mint.payment_id,
        "order_id": mint.order_id,
        "ticket_id": mint.ticket_id,
        "token_id": mint.token_id,
    }
