"""A group that pays, and tickets on their way to their tokens; straight into the tables where no chain is needed."""

from typing import Any
from uuid import UUID, uuid4

from db.minting import mints, nonces, series, signers, submissions
from db.minting.mints import NewMint
from db.minting.nonces import ContractCall, SignedTransaction
from db.minting.states import MintState
from db.payments.payments import Payment
from messages.ids import TicketId
from messages.token_ids import series_of, token_id_of
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from tests import factories
from tests.outbox.ops.console.scene import Scene

BUYER, SIGNER, CONTRACT = ("0x" + digits * 20 for digits in ("b1", "5a", "c0"))


def group(scene: Scene, *, paying: int = 1, **changes: Any) -> UUID:
    """Three shares, of which some are being paid."""
    data = factories.group(scene.tenants[0], **changes)
    paid = [factories.group_event("share_paid_with", factories.share(data, place)) for place in range(paying)]
    events = [factories.group_event("opened", data), *paid]
    assert accept(scene.db, [IncomingEvent(event) for event in events]) == [OrderOutcome.ACCEPTED] * len(events)
    return UUID(data["group_id"])


def queued_token(scene: Scene, *, wallet: str | None = None) -> UUID:
    """A ticket whose token is asked for."""
    payment, event_id, ticket_id = scene.requested(), uuid4(), TicketId(uuid4())
    name = series_of(payment.tenant_id, event_id)
    with scene.db.transaction(payment.tenant_id) as tx:
        series.ensure(tx, event_id=event_id, venue_id=payment.venue_id, series=name)
        _ask(tx, payment, event_id, NewMint(ticket_id, token_id_of(name, ticket_id), wallet))
    return ticket_id


def _ask(tx: Any, payment: Payment, event_id: UUID, new: NewMint) -> None:
    of_order = {"payment_id": payment.payment_id, "order_id": payment.order_id, "event_id": event_id}
    mints.request(tx, **of_order, venue_id=payment.venue_id, new=[new], by="mint")


def sent_token(scene: Scene) -> UUID:
    """A ticket whose first transaction got stuck, and whose second is mined."""
    ticket_id = queued_token(scene, wallet=BUYER)
    with scene.db.system_transaction() as tx:
        lease = signers.take_lease(tx, chain_id=31_337, address=SIGNER, holder="test", seconds=60)
        assert lease is not None
        found = [mint for mint in [mints.get(tx, TicketId(ticket_id))] if mint is not None]
        call = ContractCall("mint", CONTRACT, b"mint", 100_000)
        first, second = (
            SignedTransaction("0x" + digit * 32, b"signed", fee * 10**9, 10**9) for digit, fee in (("1a", 3), ("2b", 4))
        )
        slot_id = nonces.record(tx, lease, 7, call, first)
        submissions.begin(tx, found, slot_id, by="minter")
        nonces.add_attempt(tx, slot_id, second)
        nonces.note_sent(tx, second.tx_hash)
        slot = nonces.at_nonce(tx, lease, 7)
        assert slot is not None
        block = (23_456_789, "0x" + "33" * 32)
        nonces.mark_included(tx, slot, reverted=False, tx_hash=second.tx_hash, block=block, gas_used=90_000)
        submissions.move(tx, [mint.token_id for mint in found], MintState.MINED, by="minter")
    return ticket_id
