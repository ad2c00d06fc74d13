"""statements: a recipient who chose it is paid once a week, in one transfer, and exactly what its shares still lack."""

import psycopg
import pytest

from db.payouts import statements as payout_statements
from db.payouts.statements import Statement
from db.session import Database
from db.shares.states import ShareState
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from messages.shares import StatementsDue
from messages.verdicts import TryAgain
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.refunds.scenario import asked
from tests.workers.shares.scenario import Market, market, today
from workers.payments.charge import charge
from workers.payouts.statements import statements


@pytest.fixture
def place(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    monkeypatch: pytest.MonkeyPatch,
) -> Market:
    """The artist is settled weekly; the platform's balance can pay it."""
    monkeypatch.setenv("APP_ENV", "test")
    made = market(db, owner, gateway, stripe_control)
    owner.execute("UPDATE recipients SET settlement = 'weekly' WHERE recipient_id = %s", [made.artist])
    stripe_control.adjust_balance(1_000_000, "eur")
    return made


def a_week_goes_by(place: Market) -> None:
    place.owner.execute("ALTER TABLE shares DISABLE TRIGGER a_share_moves_legally")
    place.owner.execute("UPDATE shares SET state_since = state_since - interval '7 days'")
    place.owner.execute("ALTER TABLE shares ENABLE TRIGGER a_share_moves_legally")
    place.owner.execute("UPDATE statements SET until = until - interval '7 days'")


def look(place: Market) -> None:
    statements(StatementsDue(due_at=today()), place.db)
    place.work()


def made(place: Market) -> list[Statement]:
    with place.db.transaction(place.tenant.tenant_id) as tx:
        return payout_statements.of_recipient(tx, place.artist)


def test_the_shares_of_a_week_are_one_transfer_under_one_number(place: Market) -> None:
    sold = [place.sell(amount_minor=minor) for minor in (10_000, 20_000, 33_333)]
    place.work()
    look(place)
    too_early = made(place)
    a_week_goes_by(place)

    look(place)
    look(place)

    (statement,) = made(place)
    assert too_early == []
    assert (statement.number, statement.amount_minor, statement.netted_minor) == (1, 1_000 + 2_000 + 3_333, 0)
    assert place.at_stripe(place.artist_account) == 6_333
    assert {state for payment in sold for state in place.states(payment)} == {ShareState.SETTLED}
    assert place.ledger()["recipient_payable:artist"] == 0
    groups = place.owner.execute("SELECT transfer_group, charge_id FROM transfers WHERE kind = 'statement'").fetchall()
    assert groups == [(f"statement:{statement.statement_id}", None)]


def test_the_next_week_is_the_next_statement(place: Market) -> None:
    for _ in range(2):
        place.sell(amount_minor=10_000)
        place.work()
        a_week_goes_by(place)
        look(place)

    assert [one.number for one in made(place)] == [2, 1]
    assert place.at_stripe(place.artist_account) == 2_000


def test_what_is_below_the_recipients_minimum_waits_for_the_next_week(place: Market) -> None:
    place.owner.execute("UPDATE recipients SET minimum_minor = 1500 WHERE recipient_id = %s", [place.artist])
    place.sell(amount_minor=10_000)
    place.work()
    a_week_goes_by(place)
    look(place)
    first_week = made(place)

    place.sell(amount_minor=10_000)
    place.work()
    a_week_goes_by(place)
    look(place)

    assert first_week == []
    assert place.at_stripe(place.artist_account) == 2_000


def test_what_the_recipient_owes_is_kept_from_its_statement(place: Market) -> None:
    first = place.sell(amount_minor=10_000)
    place.work()
    a_week_goes_by(place)
    look(place)
    place.control.advance_clock(8 * 86_400)
    place.control.empty_balance(place.artist_account)
    place.give_back(first)
    place.sell(amount_minor=10_000)
    place.sell(amount_minor=20_000)
    place.work()
    a_week_goes_by(place)

    look(place)

    assert (made(place)[0].amount_minor, made(place)[0].netted_minor) == (3_000, 1_000)
    assert place.at_stripe(place.artist_account) == 2_000
    assert place.ledger()["recipient_receivable:artist"] == 0


def test_a_refund_after_the_statement_takes_its_line_back_and_leaves_the_others(place: Market) -> None:
    sold = [place.sell(amount_minor=10_000) for _ in range(2)]
    place.work()
    a_week_goes_by(place)
    look(place)
    place.control.advance_clock(8 * 86_400)

    place.give_back(sold[0])

    assert place.at_stripe(place.artist_account) == 1_000
    assert place.ledger()["recipient_payable:artist"] == 0


def test_a_transfer_for_which_there_is_no_money_yet_is_asked_again_under_the_same_statement(place: Market) -> None:
    place.sell(amount_minor=10_000)
    place.work()
    a_week_goes_by(place)
    place.control.empty_balance()
    look(place)
    refused = (made(place)[0].statement_id, place.at_stripe(place.artist_account))
    place.control.adjust_balance(1_000_000, "eur")

    look(place)

    (statement,) = made(place)
    assert refused == (statement.statement_id, 0)
    assert place.at_stripe(place.artist_account) == 1_000
    states = place.owner.execute("SELECT state FROM transfers WHERE kind = 'statement' ORDER BY transfer_id").fetchall()
    assert states == [("refused",), ("paid",)]


def test_a_payment_of_which_a_refund_is_open_is_left_out(place: Market) -> None:
    place.sell(amount_minor=10_000)
    place.work()
    asked(place.db, place.sell(amount_minor=20_000), 1)
    place.owner.execute("DELETE FROM outbox WHERE kind = 'refund'")
    place.work()
    a_week_goes_by(place)

    look(place)

    assert place.at_stripe(place.artist_account) == 1_000


def test_what_a_destination_charge_sent_is_not_sent_again_and_what_it_lacked_is(place: Market) -> None:
    place.owner.execute("UPDATE recipients SET settlement = CASE kind WHEN 'venue' THEN 'weekly' ELSE 'immediate' END")
    place.owner.execute("UPDATE venues SET settlement_mode = 'destination'")
    payment = factories.requested(place.db, place.tenant, amount_minor=10_000)
    place.control.add_fault("drop_after", path="/v1/payment_intents", max_firings=1)
    ask = {"tenant_id": str(payment.tenant_id), "payment_id": str(payment.payment_id)}
    with pytest.raises(TryAgain):
        charge(ChargeRequested.model_validate(ask), place.db, place.gateway)
    place.owner.execute("UPDATE royalty_settings SET basis_points = 400")  # the intent kept 1000 of the venue
    place.deliver("charge", ask)
    place.work()
    a_week_goes_by(place)

    look(place)

    assert place.at_stripe(place.venue_account) == 9_050
    assert sorted(place.made("transfer")) == [400, 600, 10_000]
    assert place.states(payment) == {ShareState.SETTLED}
