"""What tests of destination charges ask of the bank."""

from db.payments.payments import Payment
from tests.workers.shares.scenario import Market

WEEK = 8 * 86_400


def fund(place: Market, minor: int = 100_000) -> None:
    """Royalties of destination charges come out of what is available to the platform."""
    place.control.adjust_balance(minor, "eur")


def charge_of(place: Market, payment: Payment) -> str:
    row = place.owner.execute("SELECT charge_id FROM charges WHERE payment_id = %s", [payment.payment_id]).fetchone()
    assert row is not None
    return str(row[0])
