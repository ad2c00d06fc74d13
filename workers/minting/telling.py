"""What other services hear of a ticket's token, in the transaction that moves it."""

from collections.abc import Sequence

from db import mints
from db.mints import Mint
from db.session import Tx
from messages.mints import TicketMinted, TicketMintFailed, TicketVoided
from outbox.append import append
from outbox.metrics import MINTS
from workers.minting.means import Means


def tell_minted(tx: Tx, means: Means, confirmed: Sequence[Mint]) -> None:
    """Once for each ticket, also when a deep reorganisation makes it confirm again."""
    new = mints.first_told(tx, [mint.token_id for mint in confirmed])
    where = {"chain_id": means.chain_id, "contract": means.contract}
    append(
        tx,
        *(
            TicketMinted.model_validate(_facts(mint) | where | {"owner": mint.to_address})
            for mint in confirmed
            if mint.token_id in new
        ),
    )
    MINTS.labels("minted").inc(len(new))


def tell_failed(tx: Tx, failed: Sequence[Mint], reason: str) -> None:
    append(tx, *(TicketMintFailed.model_validate(_facts(mint) | {"reason": reason}) for mint in failed))
    MINTS.labels("failed").inc(len(failed))


def tell_voided(tx: Tx, means: Means, voided: Sequence[Mint]) -> None:
    where = {"chain_id": means.chain_id, "contract": means.contract}
    append(tx, *(TicketVoided.model_validate(_facts(mint) | where) for mint in voided))
    MINTS.labels("voided").inc(len(voided))


def _facts(mint: Mint) -> dict[str, object]:
    return {
        "tenant_id": mint.tenant_id,
        "payment_id": mint.payment_id,
        "order_id": mint.order_id,
        "ticket_id": mint.ticket_id,
        "token_id": mint.token_id,
    }
