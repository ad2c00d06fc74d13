"""Escrow, recipients, royalties and the tree of a payment from the command line, with real workers behind it."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from db.payments.payments import Payment
from db.session import Database
from db.shares.states import ShareState
from db.shares.views import ShareLine, TicketSold
from deploy.local.stripe.control import EmulatorControl
from outbox.ops.shares.tree import per_ticket
from outbox.sealing import Sealer, SealSettings, new_pair
from stripe_client.gateway import Gateway
from tests.outbox.ops.conftest import Fleet
from tests.outbox.ops.scenario import workers_at_work
from tests.workers.shares.scenario import Market, market


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    """A venue that holds its shares; nobody has said when the event ends."""
    made = market(db, owner, gateway, stripe_control)
    owner.execute("UPDATE venues SET escrow_days = 3")
    return made


@pytest.fixture
def sold(place: Market) -> Payment:
    return place.sell(amount_minor=10_001)


@pytest.fixture
def workers(db: Database, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("APP_ENV", "test")
    public, _ = new_pair()
    sealer = Sealer(SealSettings(app_env="test", dead_letter_public_key=public))  # type: ignore[arg-type]
    with workers_at_work(db, gateway, sealer):
        yield


def test_nothing_is_shown_well_in_every_list(fleet: Fleet) -> None:
    assert fleet("escrow", "list", "--json").json == {"held": [], "wishes": []}
    assert fleet("recipients", "list", "--json").json == {"recipients": []}
    assert fleet("royalties", "show", "--json").json == {"royalties": []}
    for words in (("escrow", "list"), ("recipients", "list"), ("royalties", "show")):
        assert fleet(*words).code == 0
    for words in (("escrow", "show"), ("recipients", "show"), ("payment", "shares")):
        assert fleet(*words, uuid4()).code == 1


@pytest.mark.usefixtures("workers")
def test_an_operator_releases_what_escrow_holds_and_it_is_in_the_log(
    fleet: Fleet, place: Market, sold: Payment
) -> None:
    (held,) = fleet("escrow", "list", "--kept-by", "unknown_end", "--json").json["held"]

    done = fleet("escrow", "release", sold.payment_id, "--reason", "the artist asked", "--yes", "--json")
    place.work()

    assert held["payment_id"] == str(sold.payment_id)
    assert (done.code, done.json["state"]) == (0, "granted"), done.err
    shown = fleet("payment", "shares", sold.order_id, "--json").json
    assert (shown["escrow"]["released_by"], shown["escrow"]["release_reason"]) == ("ada", "the artist asked")
    assert place.states(sold) <= {ShareState.RELEASED, ShareState.SETTLED}
    assert fleet("ops", "log", "--json").json["entries"][0]["action"] == "release escrow"
    again = fleet("escrow", "release", sold.payment_id, "--reason", "again", "--yes")
    assert (again.code, "nothing of this payment is in escrow" in again.err) == (1, True)


@pytest.mark.usefixtures("workers")
def test_a_large_release_needs_a_second_person(
    fleet: Fleet, place: Market, sold: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLAY_APPROVAL_MINOR", "9000")
    asked = fleet("escrow", "release", sold.payment_id, "--reason", "early", "--yes", "--json")
    wish = asked.json["wish_id"]
    twice = fleet("escrow", "release", sold.payment_id, "--reason", "early", "--yes")
    by_myself = fleet("escrow", "approve", wish, "--yes")
    states = place.states(sold)

    approved = fleet("escrow", "approve", wish, "--operator", "bob", "--yes", "--json")

    assert (asked.code, twice.code, by_myself.code) == (3, 1, 1)
    assert "a second operator must approve" in by_myself.err
    assert states == {ShareState.HELD}
    assert (approved.code, approved.json["state"], approved.json["approved_by"]) == (0, "granted", "bob")


@pytest.mark.usefixtures("workers")
def test_what_a_person_holds_only_a_person_releases_and_what_goes_back_nobody(
    fleet: Fleet, place: Market, sold: Payment
) -> None:
    held = fleet("escrow", "hold", sold.payment_id, "--reason", "fraud?", "--yes")
    shown = fleet("escrow", "list", "--kept-by", "person", "--json").json["held"]
    place.owner.execute(
        "UPDATE payments SET cancel_requested_at = now(), cancel_reason = 'x', cancel_requested_by = 'y'"
    )
    place.owner.execute("UPDATE distributions SET held_at = NULL, held_by = NULL, held_because = NULL")

    refused = fleet("escrow", "release", sold.payment_id, "--reason", "let go", "--yes")

    assert held.code == 0, held.err
    assert [(one["held_by"], one["held_because"]) for one in shown] == [("ada", "fraud?")]
    assert (refused.code, "goes back to the buyer" in refused.err) == (1, True)
    assert place.states(sold) == {ShareState.HELD}


def test_a_wish_that_waits_is_withdrawn(fleet: Fleet, sold: Payment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLAY_APPROVAL_MINOR", "1")
    wish = fleet("escrow", "release", sold.payment_id, "--reason", "early", "--yes", "--json").json["wish_id"]

    assert fleet("escrow", "withdraw", wish, "--reason", "a mistake").code == 0
    assert fleet("escrow", "approve", wish, "--operator", "bob", "--yes").code == 1
    assert fleet("escrow", "list", "--json").json["wishes"] == []


def test_a_recipients_balance_is_in_escrow_then_pending_then_arrived(
    fleet: Fleet, place: Market, sold: Payment
) -> None:
    def balance() -> tuple[int, int, int]:
        (one,) = fleet("recipients", "show", place.artist, "--json").json["balances"]
        return one["escrow_minor"], one["pending_minor"], one["available_minor"]

    in_escrow = balance()
    place.owner.execute("UPDATE recipients SET account_id = NULL WHERE recipient_id = %s", [place.artist])
    place.owner.execute("UPDATE venues SET escrow_days = NULL")
    place.sell(amount_minor=10_000)
    place.work()
    waiting = fleet("recipients", "show", place.artist, "--json").json["waiting"]

    assert sold.amount_minor == 10_001
    assert in_escrow == (1_000, 0, 0)
    assert balance() == (1_000, 0, 1_000)
    assert [(one["amount_minor"], one["state"]) for one in waiting] == [(1_000, "released")]
    assert "artist" in fleet("recipients", "list").out
    assert "10 %" in fleet("royalties", "show").out


def test_the_tree_of_a_payment_adds_up_over_shares_and_over_tickets(fleet: Fleet, sold: Payment) -> None:
    shown = fleet("payment", "shares", sold.payment_id, "--json").json

    by_share = {share["share_id"]: share["amount_minor"] for share in shown["shares"]}
    assert sum(by_share.values()) == 10_001 - 550
    for share, amount in by_share.items():
        parts = [part["amount_minor"] for ticket in shown["tickets"] for part in ticket["parts"]
                 if part["share_id"] == share]  # fmt: skip
        assert (len(parts), sum(parts)) == (2, amount)
    told = fleet("escrow", "show", sold.payment_id).out
    assert "event end unknown" in told
    assert "royalty 10 %" in told


def test_tickets_that_were_given_away_share_alike() -> None:
    free = [TicketSold(uuid4(), None, 0) for _ in range(3)]

    (first, second, third) = per_ticket([_line(100)], free)

    assert [leaf.parts_minor for leaf in (first, second, third)] == [[34], [33], [33]]
    assert per_ticket([_line(100)], []) == []


def _line(minor: int) -> ShareLine:
    fields = dict.fromkeys(ShareLine.__dataclass_fields__) | {"amount_minor": minor, "currency": "eur"}
    return ShareLine(**fields)  # type: ignore[arg-type]  # nothing else of it is looked at
