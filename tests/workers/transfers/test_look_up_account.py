"""account_lookup: shares that wait for an account go when Stripe says that it may receive; no event is trusted more."""

from typing import Any

import psycopg
import pytest

from db.payments.states import PaymentState
from db.session import Database
from db.shares.states import ShareState
from deploy.local.stripe.control import EmulatorControl
from messages.shares import AccountLookupRequested
from messages.webhooks import WebhookReceived
from outbox.intake.stripe_events import receive
from stripe_client import accounts as stripe_accounts
from stripe_client.event_snapshots import VerifiedEvent
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.conftest import Ledgers
from tests.workers.shares.scenario import Market, market, today
from workers.transfers.look_up_account import account_lookup
from workers.webhooks.webhook import webhook


@pytest.fixture
def place(db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl) -> Market:
    return market(db, owner, gateway, stripe_control)


def look(place: Market, account: str) -> None:
    account_lookup(AccountLookupRequested(account_id=account), place.db, place.gateway)
    place.work()


def standing(place: Market, account: str) -> tuple[Any, ...] | None:
    return place.owner.execute(
        "SELECT transfers, payouts_enabled FROM connected_accounts WHERE account_id = %s", [account]
    ).fetchone()


def an_event(account: str | None, kind: str, subject: dict[str, Any]) -> VerifiedEvent:
    body = {"id": f"evt_{kind.replace('.', '')}", "type": kind, "data": {"object": subject}}
    return VerifiedEvent(
        event_id=str(body["id"]),
        event_type=kind,
        created=int(today().timestamp()),
        api_version=None,
        livemode=False,
        account=account,
        object_id=subject.get("id"),
        metadata=subject.get("metadata") or {},
        body=body,
    )


def test_a_share_waits_while_the_account_may_not_receive_and_goes_when_it_may(place: Market) -> None:
    place.control.set_capability(place.artist_account, "transfers", "inactive")
    look(place, place.artist_account)
    payment = place.sell(amount_minor=10_000)
    place.work()
    waiting = place.shares(payment)[place.artist]

    place.control.set_capability(place.artist_account, "transfers", "active")
    look(place, place.artist_account)

    assert (waiting.state, waiting.waits_for) == (ShareState.RELEASED, "capability")
    assert standing(place, place.artist_account) == ("active", True)
    assert place.at_stripe(place.artist_account) == 1_000


def test_what_stripe_refused_is_tried_again_once_the_account_is_better_and_not_before(place: Market) -> None:
    place.control.set_capability(place.artist_account, "transfers", "inactive")
    payment = place.sell(amount_minor=10_000)
    place.work()  # nobody has looked at the account yet, so the transfer was tried, and refused
    refused = place.shares(payment)[place.artist].waits_for
    look(place, place.artist_account)

    look(place, place.artist_account)
    tries_before = place.owner.execute("SELECT count(*) FROM transfers WHERE account_id = %s", [place.artist_account])
    place.control.set_capability(place.artist_account, "transfers", "active")
    look(place, place.artist_account)

    assert refused is not None
    assert tries_before.fetchone() == (1,)
    assert place.at_stripe(place.artist_account) == 1_000


def test_the_same_account_of_two_tenants_wakes_the_shares_of_both(place: Market) -> None:
    other = market(place.db, place.owner, place.gateway, place.control)
    place.owner.execute(
        "UPDATE recipients SET account_id = %s WHERE recipient_id = %s", [place.artist_account, other.artist]
    )
    place.control.set_capability(place.artist_account, "transfers", "pending")
    look(place, place.artist_account)
    for one in (place, other):
        one.sell(amount_minor=10_000)
        one.work()

    place.control.set_capability(place.artist_account, "transfers", "active")
    look(place, place.artist_account)

    assert place.at_stripe(place.artist_account) == 2_000


def test_an_account_that_is_gone_may_receive_nothing(place: Market) -> None:
    answer = stripe_accounts.retrieve(place.gateway, "acct_nobody")

    assert (answer.transfers, answer.payouts_enabled) == ("inactive", False)


def test_an_older_answer_does_not_overwrite_a_younger_one(place: Market) -> None:
    look(place, place.artist_account)
    place.owner.execute("UPDATE connected_accounts SET seen_at = clock_timestamp() + interval '1 minute'")
    place.control.set_capability(place.artist_account, "transfers", "inactive")

    look(place, place.artist_account)

    assert standing(place, place.artist_account) == ("active", True)


@pytest.mark.parametrize("kind", ["account.updated", "capability.updated"])
def test_an_event_of_a_connected_account_makes_us_look_at_it(place: Market, book_of: Ledgers, kind: str) -> None:
    event = an_event(place.artist_account, kind, {"id": "any", "object": kind.partition(".")[0]})

    assert receive(place.db, event)
    webhook(WebhookReceived(tenant_id=None, event_id=event.event_id), place.db, place.gateway)

    assert {"kind": "account_lookup", "tenant_id": None, "payment_id": None, "account_id": place.artist_account} in (
        book_of.messages()
    )


@pytest.mark.parametrize(
    "kind", ["payment_intent.canceled", "charge.dispute.created", "refund.failed", "charge.updated"]
)
def test_an_event_of_a_connected_account_is_never_taken_for_a_payment_of_ours(
    place: Market, book_of: Ledgers, kind: str
) -> None:
    """Whoever owns the account names a payment, and even an intent, of ours in what it makes there."""
    payment = factories.requested(place.db, place.tenant)
    place.owner.execute("DELETE FROM outbox")
    ours = {"tenant_id": str(payment.tenant_id), "payment_id": str(payment.payment_id)}
    event = an_event(place.artist_account, kind, {"id": "pi_1", "object": "payment_intent", "metadata": ours})

    receive(place.db, event)
    webhook(WebhookReceived(tenant_id=payment.tenant_id, event_id=event.event_id), place.db, place.gateway)

    row = place.owner.execute("SELECT tenant_id, payment_id, state FROM webhook_inbox").fetchone()
    assert row == (None, None, "kept")
    assert book_of.messages() == []
    assert factories.reread(place.db, payment.tenant_id, payment.payment_id).state is PaymentState.REQUESTED
