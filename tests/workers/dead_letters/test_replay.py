"""Replay: checked against current state, replayed once, and never moving a cent twice."""

from threading import Thread

import psycopg
import pytest

from db.dead_letters import replay_batches
from db.dead_letters import views as dead_letter_views
from db.payments.states import PaymentState
from db.session import Database
from db.tenants import tenants
from deploy.local.stripe.control import EmulatorControl
from messages.runtime.settings import AppEnv
from messages.verdicts import TryAgain
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.ops.session import Operator, OpsSettings
from outbox.requests.approvals import approve_batch
from outbox.requests.orders import OrderOutcome
from outbox.requests.refusals import RefusedError
from outbox.sealing import Sealer, SealSettings, pair_from_seed
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.dead_letters.scenario import Workshop

PUBLIC, PRIVATE = pair_from_seed("tests")


@pytest.fixture
def shop(db: Database, owner: psycopg.Connection, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("DEAD_LETTER_PRIVATE_KEY", PRIVATE)
    sealer = Sealer(SealSettings(app_env=AppEnv.TEST, dead_letter_public_key=PUBLIC))
    return Workshop(db, owner, gateway, sealer, operator_of(db, "ada"))


def operator_of(db: Database, name: str, *, approval_minor: int = 10_000_000) -> Operator:
    return Operator(db, OpsSettings(app_env=AppEnv.TEST, replay_approval_minor=approval_minor), name)


def test_a_charge_that_gave_up_before_stripe_took_it_is_replayed_and_charged_once(
    shop: Workshop, stripe_control: EmulatorControl
) -> None:
    payment = shop.payment()
    letter = shop.dead_charge(payment)

    batch = shop.replayed()
    shop.deliver()

    assert factories.reread(shop.db, payment.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
    assert len(stripe_control.effects()) == 1
    assert shop.state_of(letter) == "resolved"
    assert shop.items_of(batch) == [("safe", "succeeded")]


def test_a_letter_whose_payment_was_charged_meanwhile_is_closed_without_a_call(
    shop: Workshop, stripe_control: EmulatorControl
) -> None:
    payment = shop.payment()
    letter = shop.dead_charge(payment)
    shop.charge(payment)

    batch = shop.replayed()

    assert shop.state_of(letter) == "resolved"
    assert shop.items_of(batch) == [("already_done", "closed")]
    assert shop.appended_charges() == 1  # the intake's own; the replay appended none
    assert len(stripe_control.effects()) == 1


def test_a_lost_answer_is_found_at_stripe_and_the_replay_only_writes_it_down(
    shop: Workshop, stripe_control: EmulatorControl
) -> None:
    payment = shop.payment()
    stripe_control.add_fault("drop_after", path="/v1/payment_intents", max_firings=1)
    with pytest.raises(TryAgain):
        shop.charge(payment)
    shop.dead_charge(payment)

    batch = shop.classified()

    with shop.db.ops_transaction() as tx:
        (item,) = replay_batches.items(tx, batch)
    assert (item.class_, item.amount_minor) == ("safe", None)
    assert item.proof is not None
    assert "Charged" in item.proof


@pytest.mark.parametrize(("hours", "class_"), [(1, "safe"), (23.5, "must_not"), (25, "needs_new_key")])
def test_an_unanswered_call_that_stripe_does_not_have_is_judged_by_the_age_of_its_key(
    shop: Workshop, stripe_control: EmulatorControl, hours: float, class_: str
) -> None:
    payment = shop.payment()
    stripe_control.add_fault("drop_before", path="/v1/payment_intents", max_firings=1)
    with pytest.raises(TryAgain):
        shop.charge(payment)
    shop.owner.execute(
        "UPDATE calls SET first_sent_at = first_sent_at - make_interval(secs => %(s)s), "
        "last_sent_at = last_sent_at - make_interval(secs => %(s)s)",
        {"s": hours * 3600},
    )
    shop.dead_charge(payment)

    batch = shop.classified()

    assert [found[0] for found in shop.items_of(batch)] == [class_]


def test_a_cancelled_payment_must_not_be_charged_again(shop: Workshop) -> None:
    payment = shop.payment()
    shop.owner.execute("UPDATE payments SET state = 'charging', platform_fee_minor = 0, state_by = 'test'")
    shop.owner.execute("UPDATE payments SET state = 'canceled', state_by = 'test'")
    letter = shop.dead_charge(payment)

    batch = shop.replayed()

    assert shop.items_of(batch) == [("must_not", "skipped")]
    assert shop.state_of(letter) == "open"


def test_replaying_everything_twice_and_at_once_appends_each_letter_once(
    shop: Workshop, stripe_control: EmulatorControl
) -> None:
    for _ in range(6):
        shop.dead_charge(shop.payment())
    batches = [shop.classified(), shop.classified()]
    for batch in batches:
        shop.start(batch)

    runs = [Thread(target=shop.run, args=(batch,)) for batch in batches * 2]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    shop.deliver()

    assert len(stripe_control.effects()) == 6
    outcomes = [state for batch in batches for _, state in shop.items_of(batch)]
    assert sorted(outcomes) == ["skipped"] * 6 + ["succeeded"] * 6


def test_a_replay_that_dies_again_opens_its_letter_again(shop: Workshop, stripe_control: EmulatorControl) -> None:
    letter = shop.dead_charge(shop.payment())
    batch = shop.replayed()
    stripe_control.add_fault("error", path="/v1/payment_intents", status=400, max_firings=1)

    shop.deliver()

    assert shop.state_of(letter) == "open"
    assert shop.items_of(batch) == [("safe", "failed")]
    with shop.db.ops_transaction() as tx:
        detail = dead_letter_views.detail(tx, letter)
    assert detail is not None
    assert (detail.letter.deaths, len(detail.history)) == (2, 1)
    assert detail.history[0].traceback


def test_a_message_whose_id_is_none_of_ours_is_left_to_an_edit_and_never_stuck(shop: Workshop) -> None:
    letter = shop.dead_charge(shop.payment())
    shop.owner.execute("UPDATE dead_letters SET message_id = 'no-uuid'")

    batch = shop.replayed()

    assert shop.items_of(batch) == [("must_not", "skipped")]
    assert shop.state_of(letter) == "open"


def test_a_dear_batch_waits_for_a_second_person(shop: Workshop) -> None:
    ada, grace = (operator_of(shop.db, name, approval_minor=1_000) for name in ("ada", "grace"))
    shop.dead_charge(shop.payment(amount_minor=4200))
    batch = shop.classified(ada)

    assert shop.start(batch, ada) == "awaiting_approval"
    with pytest.raises(RefusedError, match="a second operator must approve"), ada.transaction() as acting:
        approve_batch(acting, batch)
    with grace.transaction() as acting:
        approve_batch(acting, batch)

    with shop.db.ops_transaction() as tx:
        found = replay_batches.get(tx, batch)
    assert found is not None
    assert (found.state, found.started_by, found.approved_by) == ("running", "ada", "grace")


def test_an_order_of_a_tenant_that_was_unknown_is_taken_when_it_comes_back(shop: Workshop) -> None:
    tenant = factories.tenant(shop.owner)
    data = factories.order(tenant)
    shop.owner.execute("DELETE FROM recipients")
    shop.owner.execute("DELETE FROM venues")
    assert accept(shop.db, [IncomingEvent(factories.event(data))], shop.sealer) == [OrderOutcome.DEAD]
    tenants.register(shop.owner, [tenant])

    batch = shop.replayed()
    row = shop.owner.execute("SELECT message_id, body FROM outbox WHERE kind = 'order.placed'").fetchone()
    assert row is not None
    again = accept(shop.db, [IncomingEvent(bytes(row[1]), str(row[0]), row[0])], shop.sealer)

    assert again == [OrderOutcome.ACCEPTED]
    assert shop.items_of(batch) == [("safe", "succeeded")]
    assert shop.state_of(row[0]) == "resolved"
