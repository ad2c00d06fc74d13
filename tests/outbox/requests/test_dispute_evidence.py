"""The evidence against a dispute: what the book knows is said, what it does not know is named, nothing is guessed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from db.disputes.evidence_facts import EvidenceFacts, RefundFact, TicketFact
from messages.money import Money
from outbox.requests.dispute_evidence import FIELDS, LONGEST_FIELD, pack, problem_of

AT = datetime(2026, 11, 21, 19, 30, tzinfo=UTC)
FACTS = EvidenceFacts(
    order_id="order-1",
    event_id="event-1",
    venue="The Hall",
    policy="No refunds within 24 hours.",
    charge_id="ch_1",
    charged=Money(4200, "eur"),
    intent_id="pi_1",
    ordered_at=AT,
    moves=(("requested", AT), ("charging", AT), ("requires_action", AT), ("succeeded", AT)),
    tickets=(TicketFact("ticket-1", "A1", Money(2100, "eur")), TicketFact("ticket-2", "A2", Money(2100, "eur"))),
    refunds=(),
    card={"three_d_secure": "authenticated", "cvc_check": "pass", "risk_level": "normal"},
    reason="product_not_received",
)


def test_the_pack_says_what_was_bought_how_it_was_paid_and_under_which_policy() -> None:
    evidence = pack(FACTS).evidence

    assert "2 event tickets at The Hall" in evidence["product_description"]
    assert "seat A2, 21.00 EUR" in evidence["product_description"]
    assert "2026-11-21 19:30:00 UTC the payment succeeded" in evidence["access_activity_log"]
    assert "3-D Secure: authenticated." in evidence["uncategorized_text"]
    assert "asked to authenticate" in evidence["uncategorized_text"]
    assert evidence["refund_policy_disclosure"] == "No refunds within 24 hours."
    assert "refund_refusal_explanation" not in evidence
    assert set(evidence) <= set(FIELDS)
    assert problem_of(evidence) is None


def test_an_authentication_is_not_claimed_where_there_was_none() -> None:
    moves = (("requested", AT), ("charging", AT), ("succeeded", AT))

    told = pack(replace(FACTS, moves=moves, card={})).evidence["uncategorized_text"]

    assert "authenticate" not in told
    assert "3-D Secure" not in told


def test_refunds_are_told_as_they_stand() -> None:
    refunds = (RefundFact(Money(1000, "eur"), "requested_by_customer", "succeeded", AT),)

    told = pack(replace(FACTS, refunds=refunds)).evidence["refund_refusal_explanation"]

    assert "10.00 EUR, requested by customer: succeeded" in told


@pytest.mark.parametrize(
    ("reason", "field", "words"),
    [
        ("duplicate", "duplicate_charge_explanation", "exactly one charge, ch_1"),
        ("credit_not_processed", "refund_refusal_explanation", "No refund of this order was requested"),
    ],
)
def test_the_reason_asks_for_fields_of_its_own(reason: str, field: str, words: str) -> None:
    assert words in pack(replace(FACTS, reason=reason)).evidence[field]


def test_what_the_fleet_does_not_know_is_named_for_the_person_and_not_told_to_the_bank() -> None:
    bare = pack(replace(FACTS, policy=None, card={}))

    told = " ".join(bare.gaps)
    for word in ("were used at the door is not known here", "Buyer", "service_date", "Refund policy", "Card checks"):
        assert word in told
    assert "used at the door" not in str(bare.evidence)


def test_a_hundred_tickets_stay_within_what_stripe_takes() -> None:
    tickets = tuple(TicketFact(f"ticket-{n}", "S" * 200, Money(1, "eur")) for n in range(100))

    evidence = pack(replace(FACTS, tickets=tickets)).evidence

    assert max(map(len, evidence.values())) <= LONGEST_FIELD
    assert problem_of(evidence) is None


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ({}, "no evidence"),
        ({"uncategorized_text": "  "}, "no evidence"),
        ({"receipt": "file_1"}, "no evidence field receipt"),
        ({"uncategorized_text": "x" * 20_001}, "at most 20000"),
        (dict.fromkeys(FIELDS, "x" * 9_000), "together"),
    ],
)
def test_what_stripe_would_not_take_is_said_beforehand(evidence: dict[str, str], said: str) -> None:
    assert said in (problem_of(evidence) or "")
