"""FAULTS 32: dead letters of shares, transfers, reversals and accounts are checked against the database and Stripe."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest

from db.dead_letters.dead_letters import SealedDeadLetter
from db.operators import requests
from db.operators.requests import NewOperatorRequest
from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from messages.base import Message
from messages.ids import ReversalId, ShareId, TransferId
from messages.shares import AccountLookupRequested, OpsEscrowDue, ReversalRequested, ShareDue, TransferRequested
from messages.verdicts import TryAgain
from stripe_client.gateway import Gateway
from tests.workers.shares.scenario import Market, market
from workers.dead_letters.replay_check import OpenedDeadLetter, check_replay
from workers.rules.replay_check import ReplayCheck
from workers.shares.share import share
from workers.transfers.transfer import transfer

Check = Callable[[Message], ReplayCheck]


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    return market(db, owner, gateway, stripe_control)


@pytest.fixture
def check(place: Market) -> Check:
    """The replay check of this message's dead letter, now."""

    def run(dead: Message) -> ReplayCheck:
        payload: dict[str, Any] = dead.model_dump(mode="json")
        dead_letter = SealedDeadLetter(uuid4(), None, "worker", dead.kind, None, str(uuid4()), None, None)
        return check_replay(OpenedDeadLetter(dead_letter, orjson.dumps(payload), payload), place.db, place.gateway)

    return run


def asked(place: Market) -> tuple[ShareDue, TransferRequested]:
    """The artist's share of a sale, measured: its transfer is asked for, and nothing was sent."""
    payment = place.sell(amount_minor=10_000)
    due = ShareDue(
        tenant_id=payment.tenant_id,
        payment_id=payment.payment_id,
        share_id=place.shares(payment)[place.artist].share_id,
    )
    share(due, place.db)
    row = place.owner.execute("SELECT transfer_id FROM transfers").fetchone()
    assert row is not None
    return due, TransferRequested(tenant_id=payment.tenant_id, transfer_id=TransferId(row[0]))


def age_calls(place: Market, hours: float) -> None:
    place.owner.execute(
        "UPDATE calls SET first_sent_at = first_sent_at - make_interval(secs => %(s)s), "
        "last_sent_at = last_sent_at - make_interval(secs => %(s)s) WHERE outcome = 'unknown'",
        {"s": hours * 3600},
    )


def unanswered(place: Market, wanted: TransferRequested, fault: str) -> None:
    place.control.add_fault(fault, path="/v1/transfers")
    with pytest.raises(TryAgain):
        transfer(wanted, place.db, place.gateway)
    place.control.clear_faults()


def test_a_transfer_that_was_never_sent_is_safe_and_one_that_was_made_is_done(place: Market, check: Check) -> None:
    due, wanted = asked(place)
    before = check(wanted)
    place.work()

    assert (before.class_, before.amount and before.amount.minor) == ("safe", 1_000)
    assert check(wanted).class_ == "already_done"
    assert check(due).class_ == "already_done"


def test_a_transfer_whose_answer_was_lost_is_only_written_down(place: Market, check: Check) -> None:
    _, wanted = asked(place)
    unanswered(place, wanted, "drop_after")

    found = check(wanted)

    assert (found.class_, found.amount) == ("safe", None)
    assert "only writes that down" in found.proof


def test_a_transfer_that_stripe_never_got_goes_under_its_key_waits_or_needs_a_new_one(
    place: Market, check: Check
) -> None:
    _, wanted = asked(place)
    unanswered(place, wanted, "drop_before")

    classes = [check(wanted).class_]
    for hours in (23.5, 1.0):
        age_calls(place, hours)
        classes.append(check(wanted).class_)

    assert classes == ["safe", "must_not", "needs_new_key"]


def test_a_transfer_that_stripe_refused_was_followed_by_another_look(place: Market, check: Check) -> None:
    place.control.set_capability(place.artist_account, "transfers", "inactive")
    _, wanted = asked(place)
    place.work()

    assert check(wanted).class_ == "already_done"


def test_a_reversal_is_safe_until_it_is_made(place: Market, check: Check) -> None:
    payment = place.sell(amount_minor=10_000)
    place.work()
    place.control.advance_clock(8 * 86_400)
    place.control.add_fault("drop_after", path="/v1/transfers/*/reversals", method="POST")
    with pytest.raises(AssertionError, match="again and again"):
        place.give_back(payment)
    place.control.clear_faults()
    row = place.owner.execute("SELECT reversal_id FROM transfer_reversals WHERE state = 'sending'").fetchone()
    assert row is not None
    wanted = ReversalRequested(tenant_id=payment.tenant_id, reversal_id=ReversalId(row[0]))

    before = check(wanted)
    place.deliver("transfer_reversal", wanted.model_dump(mode="json"))

    assert (before.class_, before.amount) == ("safe", None)
    assert check(wanted).class_ == "already_done"


def test_what_nobody_knows_must_not_be_replayed_and_asking_about_an_account_may(place: Market, check: Check) -> None:
    tenant, nobody = place.tenant.tenant_id, uuid4()
    payment = place.sell(amount_minor=10_000)

    assert check(TransferRequested(tenant_id=tenant, transfer_id=TransferId(nobody))).class_ == "must_not"
    assert check(ReversalRequested(tenant_id=tenant, reversal_id=ReversalId(nobody))).class_ == "must_not"
    unknown = ShareDue(tenant_id=tenant, payment_id=payment.payment_id, share_id=ShareId(nobody))
    assert check(unknown).class_ == "must_not"
    assert check(AccountLookupRequested(account_id=place.artist_account)).class_ == "safe"


def test_what_an_operator_wanted_of_escrow_is_safe_until_it_is_done(place: Market, check: Check) -> None:
    place.owner.execute("UPDATE venues SET escrow_days = 3")
    payment = place.sell(amount_minor=10_000)
    with place.db.ops_transaction() as tx:
        whose = (payment.tenant_id, "release", payment.payment_id, 9_450, "eur")
        new = NewOperatorRequest(*whose, note="the show was moved", by="ada")
        request = requests.ask(tx, new, awaits_approval=False)
    wanted = OpsEscrowDue(tenant_id=payment.tenant_id, payment_id=payment.payment_id, wish_id=request.request_id)

    before = check(wanted).class_
    place.owner.execute("UPDATE operator_requests SET state = 'granted'")

    assert (before, check(wanted).class_) == ("safe", "already_done")
