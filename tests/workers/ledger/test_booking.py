"""One contract for booking, read from the source: who returns what is to be booked never writes it."""

import importlib
from collections.abc import Mapping
from uuid import uuid4

from db.ledger.journals import Journal
from messages.base import Fact, Message
from messages.ids import PaymentId, ShareId, TenantId
from messages.shares import ShareDue
from tests.workers.ledger.call_graph import CallGraph, sources_of
from workers.ledger.booking import NOTHING, Booking

POST, BOOK = "db.ledger.journals.post", "workers.ledger.booking.book"
APPEND = {
    f"outbox.append.{name}"
    for name in ("append", "append_again", "append_traced", "append_original", "append_order_again")
}
WRITES = {POST, BOOK, *APPEND}
TO_BE_BOOKED = {"workers.ledger.booking.Booking", "db.ledger.journals.Journal"}
# What every delivery, the loop of both reconciliations and the minter's process append; none of them books anything.
PLUMBING = {"workers.runtime.retries", "workers.reconciliation.run_loop", "workers.minting.events"}

SOURCES = sources_of("workers", "outbox")


def test_the_ledger_is_posted_to_in_one_place() -> None:
    assert [name for name, function in CallGraph(SOURCES).functions.items() if POST in function.refers_to] == [BOOK]


def test_only_settlements_events_and_actors_book_or_append() -> None:
    assert wrong_writers(SOURCES) == []


def test_what_returns_journals_or_messages_neither_posts_nor_appends_itself_or_through_others() -> None:
    returning = returning_what_is_booked(CallGraph(SOURCES))

    assert {"workers.shares.distribution.claw_back", "workers.transfers.destination_charges.record_refund"} <= returning
    assert both(SOURCES) == []


def test_these_rules_find_what_breaks_them() -> None:
    broken = SOURCES | {
        "workers.shares.generous": (
            "from db.ledger.journals import Journal\n"
            "from workers.shares.hidden import tell\n"
            "def give(tx) -> list[Journal]:\n    tell(tx)\n    return []\n"
        ),
        "workers.shares.hidden": "from outbox import append as queue\ndef tell(tx) -> None:\n    queue.append(tx)\n",
    }

    assert wrong_writers(broken) == ["workers.shares.hidden.tell"]
    assert both(broken) == ["workers.shares.generous.give"]


def test_the_sum_of_two_bookings_keeps_the_order_of_journals_and_of_messages() -> None:
    first, second = Journal("charge", "ch_1", []), Journal("stripe_fee", "txn_1", [])
    due = [
        ShareDue(tenant_id=TenantId(uuid4()), payment_id=PaymentId(uuid4()), share_id=ShareId(uuid4()))
        for _ in range(2)
    ]

    both_together = Booking([first], due[:1]) + NOTHING + Booking([second], due[1:])

    assert both_together == Booking([first, second], due)


def wrong_writers(sources: Mapping[str, str]) -> list[str]:
    graph = CallGraph(sources)
    writers = [function for function in graph.functions.values() if function.refers_to & WRITES]
    return [
        function.name
        for function in writers
        if function.module.startswith("workers.")
        and function.name != BOOK
        and function.module not in graph.actors | PLUMBING
        and function.module.rpartition(".")[2] not in {"settlement", "events"}
    ]


def both(sources: Mapping[str, str]) -> list[str]:
    graph = CallGraph(sources)
    return sorted(name for name in returning_what_is_booked(graph) if graph.reached_from(name) & WRITES)


def returning_what_is_booked(graph: CallGraph) -> set[str]:
    return {
        name
        for name, function in graph.functions.items()
        if function.module.startswith("workers.") and any(map(_is_booked, function.returns))
    }


def _is_booked(returned: str) -> bool:
    if returned in TO_BE_BOOKED:
        return True
    module, _, name = returned.rpartition(".")
    kind = getattr(importlib.import_module(module), name, None) if module.startswith("messages.") else None
    return isinstance(kind, type) and issubclass(kind, Message | Fact)
