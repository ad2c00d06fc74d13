"""Payments of the scene that are cut into shares, in escrow or on their way; straight into the tables."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from db.payments.payments import Payment
from db.shares import sale_terms, shares
from db.shares.shares import NewShare
from db.shares.states import ShareState
from db.transfers import transfers
from db.transfers.states import TransferState
from db.transfers.transfers import NewTransfer
from messages.ids import RecipientId
from messages.money import Money
from tests.outbox.ops.console.refund_scene import refunded
from tests.outbox.ops.console.scene import Scene


def cut(scene: Scene, *, ends_in_days: float | None, amount_minor: int = 4200, held: bool = True) -> Payment:
    """A tenth for the band, the rest for the venue; held for three days after the event."""
    event_id = uuid4()
    payment = refunded(scene, "failed", amount_minor=amount_minor, event_id=str(event_id))
    band, state = _band(scene, payment), ShareState.HELD if held else ShareState.RELEASED
    tenth = Money(amount_minor // 10, payment.currency)
    legs = [
        NewShare(band, "royalty", 1000, tenth, state),
        NewShare(payment.venue_id, "venue", None, Money(amount_minor - 260, payment.currency) - tenth, state),
    ]
    terms = shares.SplitTerms("primary", "separate", event_id, 3, None if held else "the event is over")
    with scene.db.transaction(payment.tenant_id) as tx:
        shares.freeze(tx, payment.payment_id, legs, terms, by="charge")
        if ends_in_days is not None:
            ends_at = (datetime.now(UTC) + timedelta(days=ends_in_days)).isoformat()
            told = {"event_id": str(event_id), "venue_id": str(payment.venue_id), "ends_at": ends_at}
            sale_terms.schedule_events(tx, [told], overrule=True)
    return payment


def on_its_way(scene: Scene) -> Payment:
    """Released: the venue's share has arrived, the band has no account yet."""
    payment = cut(scene, ends_in_days=-5, amount_minor=9_999, held=False)
    with scene.db.transaction(payment.tenant_id) as tx:
        band, venue = shares.of_payment(tx, payment.payment_id)
        shares.look(tx, band.share_id, waits_for="account")
        whole = [(venue.share_id, venue.gap)]
        to = (venue.recipient_id, "acct_17CK7K2Y36P2sGmm", "share", payment.payment_id, None, "group", whole)
        made = transfers.request(tx, NewTransfer(*to, Money(0, payment.currency)), by="share")
        transfers.move(tx, made, TransferState.SENDING, by="transfer")
        transfers.move(tx, made, TransferState.PAID, by="transfer", stripe_id="tr_3QfLmK2Y36P2sGmm1bX9")
        arrived = shares.lock(tx, venue.share_id)
        assert arrived is not None
        shares.move(tx, arrived, ShareState.SETTLED, by="share")
    return payment


def _band(scene: Scene, payment: Payment) -> UUID:
    band = RecipientId(uuid4())
    scene.owner.execute(
        "INSERT INTO recipients (tenant_id, recipient_id, kind, name, currency) VALUES (%s, %s, 'artist', %s, %s)",
        [payment.tenant_id, band, "The Very Long-Named Band", payment.currency],
    )
    return band
