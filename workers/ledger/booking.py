"""Booking: the journals and the messages that one fact calls for, and `book`, which writes them.

The contract of every domain: its functions write their own rows and return a Booking; they neither post nor append.
The settlement of a domain, or an actor's own transaction, collects the bookings and calls `book`, once where it can. So
whoever looks for what reaches the ledger and the outbox reads settlements and actors, and nothing else
(tests/workers/ledger/test_booking.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.session import Tx
from messages.base import Fact, Message
from messages.ids import PaymentId
from outbox.append import append


@dataclass(frozen=True, slots=True)
class Booking:
    """What is to be posted and appended, each in this order. The sum of two keeps the order."""

    journals: Sequence[Journal] = ()
    messages: Sequence[Message | Fact] = ()

    def __add__(self, other: "Booking") -> "Booking":
        return Booking([*self.journals, *other.journals], [*self.messages, *other.messages])


NOTHING = Booking()


def book(tx: Tx, payment_id: PaymentId | None, *bookings: Booking) -> None:
    """Post the journals in one statement and append the messages in another; nothing when there are none.

    A journal whose fact is booked already is skipped.

    Raises:
        UnbalancedError: as `post`; nothing is written.
    """
    journals: list[Journal] = []
    messages: list[Message | Fact] = []
    for booking in bookings:
        journals += booking.journals
        messages += booking.messages
    if journals:
        ledger.post(tx, payment_id, journals)
    if messages:
        append(tx, *messages)
