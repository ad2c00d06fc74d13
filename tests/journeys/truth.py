"""What every case ends with: verify is clean, and the emulator's own recorder agrees with the book."""

from collections import Counter

from tests.journeys.fleet import Fleet
from tests.journeys.rest import FACTS


def assert_clean(fleet: Fleet, *, hurry: bool = False) -> None:
    """Run to quiet, then compare everything with everything; the recorder is the truth nobody of ours has written."""
    fleet.wait_until_quiet(hurry=hurry)
    report = fleet.verify()
    assert report.clean, (report.totals, report.findings)
    assert_recorder_agrees(fleet)


def assert_recorder_agrees(fleet: Fleet) -> None:
    """Each charge the bank made is one charge and one journal of the same amount in the book, and back (M1, M2)."""
    effects = [effect for effect in fleet.control.effects() if effect["kind"] == "charge"]
    made = {effect["metadata"]["payment_id"]: (effect["amount"], effect["currency"]) for effect in effects}
    twice = [payment for payment, count in Counter(e["metadata"]["payment_id"] for e in effects).items() if count > 1]
    assert not twice, f"charged more than once: {twice}"
    booked = fleet.rows(
        """
        SELECT p.payment_id::text, p.state, c.amount_minor, c.currency,
               (SELECT count(*) FROM ledger_journals WHERE kind = 'charge' AND source_id = c.charge_id) AS journals
        FROM payments p JOIN charges c USING (tenant_id, payment_id)
        """
    )
    assert {row["payment_id"]: (row["amount_minor"], row["currency"]) for row in booked} == made
    assert all(row["journals"] == 1 and row["state"] == "succeeded" for row in booked)
    succeeded = fleet.rows("SELECT count(*) FROM payments WHERE state = 'succeeded'")[0]["count"]
    journals = fleet.rows("SELECT count(*) FROM ledger_journals WHERE kind = 'charge'")[0]["count"]
    assert succeeded == journals == len(made)
    summary = fleet.control.summary()
    assert summary["ledger_errors"] == []
    sums: Counter[str] = Counter()
    for amount, currency in made.values():
        sums[currency] += amount
    told = {row["currency"]: row["amount"] for row in summary["effects"] if row["kind"] == "charge"}
    assert told == dict(sums)


def assert_told_in_order(fleet: Fleet) -> None:
    """The order service heard the facts of each payment, each once, in the order in which they became true."""
    moves = fleet.rows(
        """
        SELECT payment_id, array_agg('payment.' || to_state ORDER BY seq) AS facts FROM payment_history
        WHERE to_state IN ('succeeded', 'failed', 'requires_action', 'authorized') GROUP BY payment_id
        """
    )
    told = {payment: [fact for fact in facts if fact in FACTS.values()] for payment, facts in fleet.told().items()}
    assert {move["payment_id"]: move["facts"] for move in moves} == told
