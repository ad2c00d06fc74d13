"""escrow: shares wait until their event is over, and go then, once; what stands is woken, what stays is a case."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import psycopg
import pytest

from db.payments.payments import Payment
from db.reconciliation import case_views
from db.session import Database
from db.shares import escrow
from db.shares.states import ShareState
from deploy.local.stripe.control import EmulatorControl
from messages.shares import EscrowDue
from stripe_client.gateway import Gateway
from tests.workers.refunds.scenario import asked
from tests.workers.shares.scenario import Market, market, today
from workers.shares.escrow import escrow as run_escrow


@pytest.fixture
def place(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    monkeypatch: pytest.MonkeyPatch,
) -> Market:
    """A venue that holds shares for three days after the event."""
    monkeypatch.setenv("APP_ENV", "test")
    made = market(db, owner, gateway, stripe_control)
    owner.execute("UPDATE venues SET escrow_days = 3")
    return made


def over(place: Market, payment: Payment, *, days: float) -> None:
    """The payment's event ended so many days ago, by the database's clock."""
    place.owner.execute(
        "INSERT INTO events (tenant_id, event_id, venue_id, ends_at) "
        "SELECT d.tenant_id, d.event_id, p.venue_id, clock_timestamp() - make_interval(secs => %s) "
        "FROM distributions d JOIN payments p USING (tenant_id, payment_id) WHERE d.payment_id = %s "
        "ON CONFLICT (tenant_id, event_id) DO UPDATE SET ends_at = excluded.ends_at",
        [days * 86_400, payment.payment_id],
    )


def run(place: Market) -> None:
    run_escrow(EscrowDue(due_at=today()), place.db)
    place.work()


def kept_by(place: Market, payment: Payment) -> str | None:
    with place.db.ops_transaction() as tx:
        found = escrow.of_payment(tx, payment.payment_id)
    assert found is not None
    return None if found.released_at else found.kept_by


def cases(place: Market) -> list[str]:
    with place.db.system_transaction() as tx:
        return [case.type for case in case_views.find(tx)]


def test_shares_go_when_the_event_is_over_for_as_long_as_the_venue_wants_and_not_before(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)
    over(place, payment, days=2.99)
    run(place)
    before = (place.states(payment), place.made("transfer"), kept_by(place, payment))

    over(place, payment, days=3.01)
    run(place)
    run(place)

    assert before == ({ShareState.HELD}, [], "event")
    assert place.states(payment) == {ShareState.SETTLED}
    assert sorted(place.made("transfer")) == [1_000, 8_450]
    history = place.owner.execute(
        "SELECT to_state, by, reason FROM share_history JOIN shares USING (tenant_id, share_id) "
        "WHERE recipient_id = %s ORDER BY seq",
        [place.artist],
    ).fetchall()
    assert history == [
        ("held", "charge", None),
        ("released", "escrow", "the event is over"),
        ("settled", "share", None),
    ]
    facts = place.owner.execute("SELECT count(*) FROM outbox WHERE kind = 'escrow.released'").fetchone()
    assert facts == (1,)


def test_while_nobody_says_when_the_event_ends_the_shares_stay(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)

    run(place)

    assert place.states(payment) == {ShareState.HELD}
    assert kept_by(place, payment) == "unknown_end"


def test_an_open_refund_keeps_the_shares_and_only_the_rest_goes_afterwards(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)
    over(place, payment, days=4)
    asked(place.db, payment, 5_000)
    run_escrow(EscrowDue(due_at=today()), place.db)
    while_open = (kept_by(place, payment), place.states(payment))
    place.work()

    run(place)

    assert while_open == ("refund", {ShareState.HELD})
    assert sorted(place.made("transfer")) == [500, 4_225]


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [
        (
            "UPDATE payments SET cancel_requested_at = now(), cancel_reason = 'x', cancel_requested_by = 'y'",
            "cancellation",
        ),
        ("UPDATE distributions SET held_at = now(), held_by = 'ann', held_because = 'fraud?'", "person"),
        (
            "INSERT INTO event_cancellations (tenant_id, event_id, note, state, state_by, created_by, total) "
            "SELECT tenant_id, event_id, 'rain', 'awaiting_approval', 'ann', 'ann', 1 FROM distributions",
            "cancelled_event",
        ),
    ],
)
def test_what_is_about_to_be_given_back_or_held_by_a_person_stays(place: Market, obstacle: str, reason: str) -> None:
    payment = place.sell(amount_minor=10_000)
    over(place, payment, days=4)
    place.owner.execute(obstacle)  # type: ignore[arg-type]  # one of the literals above

    run(place)

    assert place.states(payment) == {ShareState.HELD}
    assert kept_by(place, payment) == reason


def test_what_was_given_back_while_it_was_held_leaves_escrow_as_well(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)
    place.give_back(payment)

    run(place)

    assert place.states(payment) == {ShareState.SETTLED}
    assert place.made("transfer") == []
    with place.db.ops_transaction() as tx:
        assert escrow.find(tx, limit=10) == []
        found = escrow.of_payment(tx, payment.payment_id)
    assert found is not None and found.release_reason == "nothing of it is left"


def test_two_runs_at_once_let_each_payment_go_once(place: Market) -> None:
    sold = [place.sell(amount_minor=10_000) for _ in range(6)]
    for payment in sold:
        over(place, payment, days=4)

    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(run_escrow, EscrowDue(due_at=today()), place.db) for _ in range(2)]:
            done.result()
    place.work()

    assert sorted(place.made("transfer")) == [1_000] * 6 + [8_450] * 6
    told = place.owner.execute("SELECT count(*) FROM outbox WHERE kind = 'escrow.released'").fetchone()
    assert told == (6,)


def test_a_recipient_without_an_account_is_let_go_and_waits_for_one(place: Market) -> None:
    place.owner.execute("UPDATE recipients SET account_id = NULL WHERE recipient_id = %s", [place.artist])
    payment = place.sell(amount_minor=10_000)
    over(place, payment, days=4)

    run(place)

    share = place.shares(payment)[place.artist]
    assert (share.state, share.waits_for) == (ShareState.RELEASED, "account")


def lose_and_age(place: Market) -> list[str]:
    """Every message is lost and an hour goes by; then the sweep runs. Returns what it woke."""
    place.owner.execute("DELETE FROM outbox")
    place.owner.execute("UPDATE shares SET looked_at = looked_at - interval '1 hour'")
    for table in ("transfers", "transfer_reversals"):
        place.owner.execute(f"UPDATE {table} SET state_since = state_since - interval '1 hour'")
    place.owner.execute("UPDATE share_returns SET at = at - interval '30 minutes'")
    run_escrow(EscrowDue(due_at=today()), place.db)
    return [row[0] for row in place.owner.execute("SELECT kind FROM outbox ORDER BY kind").fetchall()]


def deliver_shares(place: Market, kind: str) -> None:
    rows = place.owner.execute("DELETE FROM outbox WHERE kind = %s RETURNING body", [kind]).fetchall()
    for (body,) in rows:
        place.deliver(kind, orjson.loads(body)["kwargs"]["payload"])


def test_whatever_message_is_lost_the_shares_arrive(place: Market) -> None:
    place.owner.execute("UPDATE venues SET escrow_days = NULL")
    payment = place.sell(amount_minor=10_000)

    woken_shares = lose_and_age(place)
    at_once_again = lose_and_age(place)
    place.owner.execute("DELETE FROM wake_ups")
    lose_and_age(place)
    deliver_shares(place, "share")
    woken_transfers = lose_and_age(place)
    place.work()
    place.control.advance_clock(8 * 86_400)
    asked(place.db, payment)
    deliver_shares(place, "refund")
    place.owner.execute("DELETE FROM wake_ups")
    woken_returns = [kind for kind in lose_and_age(place) if kind == "share"]
    deliver_shares(place, "share")
    woken_reversals = lose_and_age(place)
    place.work()

    assert woken_shares == ["share", "share"]
    assert at_once_again == []
    assert woken_transfers == ["transfer", "transfer"]
    assert woken_returns == ["share", "share"]
    assert woken_reversals == ["transfer_reversal", "transfer_reversal"]
    assert (place.at_stripe(place.venue_account), place.at_stripe(place.artist_account)) == (0, 0)


def case_of(place: Market, change: str, *parameters: Any) -> list[str]:
    place.owner.execute(change, parameters)  # type: ignore[arg-type]  # a literal of the test below
    run_escrow(EscrowDue(due_at=today()), place.db)
    return cases(place)


def test_what_a_person_must_see_is_a_case_and_closes_itself(place: Market) -> None:
    payment = place.sell(amount_minor=10_000)
    frozen = "UPDATE distributions SET frozen_at = clock_timestamp() - make_interval(days => %s)"

    assert case_of(place, frozen, 75) == []
    assert case_of(place, frozen, 77) == ["escrow_near_limit"]
    place.owner.execute("UPDATE recipients SET account_id = NULL WHERE recipient_id = %s", [place.artist])
    over(place, payment, days=4)
    run(place)
    stuck = "UPDATE shares SET state_since = clock_timestamp() - make_interval(days => %s) WHERE state = 'released'"
    place.owner.execute("ALTER TABLE shares DISABLE TRIGGER a_share_moves_legally")
    assert sorted(case_of(place, stuck, 4)) == ["escrow_near_limit", "share_stuck"]
    place.owner.execute("ALTER TABLE shares ENABLE TRIGGER a_share_moves_legally")
    place.owner.execute(
        "UPDATE recipients SET account_id = %s WHERE recipient_id = %s", [place.artist_account, place.artist]
    )
    lose_and_age(place)
    place.work()
    run(place)

    assert cases(place) == []


def test_a_recipient_who_owes_more_than_the_limit_is_a_case_until_its_shares_have_paid(
    place: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECEIVABLE_LIMIT_MINOR", "999")
    place.owner.execute("UPDATE venues SET escrow_days = NULL")
    first = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)
    place.control.empty_balance(place.artist_account)
    place.give_back(first)
    run(place)
    owing = cases(place)

    place.sell(amount_minor=10_000)
    run(place)
    run(place)

    assert owing == ["receivable_over_limit"]
    assert cases(place) == []
