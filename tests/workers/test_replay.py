"""Replay: judged from fresh state, brought back once, and never moving a cent twice."""

from threading import Thread
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest

from db import dead_letters, letters, replays
from db.dead_letters import DeadLetter
from db.letters import Filter
from db.lifecycle import PaymentState
from db.payments import Payment
from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from messages.replays import ClassifyDue, ReplayDue
from messages.settings import AppEnv
from messages.verdicts import TryAgain
from outbox.ops.desk import Desk, OpsSettings, RefusedError
from outbox.sealing import Sealer, SealSettings, pair_from_seed
from stripe_client.gateway import Gateway
from tests import factories
from workers import actor
from workers.actor import ACTORS
from workers.charge import charge
from workers.classify import classify
from workers.replay import replay

PUBLIC, PRIVATE = pair_from_seed("tests")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("DEAD_LETTER_PRIVATE_KEY", PRIVATE)


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(SealSettings(app_env=AppEnv.TEST, dead_letter_public_key=PUBLIC))


@pytest.fixture
def desk(db: Database) -> Desk:
    return Desk(db, OpsSettings(app_env=AppEnv.TEST, replay_approval_minor=10_000_000), "ada")


def test_a_charge_that_gave_up_before_stripe_took_it_is_replayed_and_charged_once(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    sealer: Sealer,
    desk: Desk,
) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    letter = dead_charge(db, payment, sealer)

    batch = run_batch(db, gateway, desk)
    deliver_what_was_appended(db, owner, gateway, sealer)

    assert factories.reread(db, payment.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
    assert len(stripe_control.effects()) == 1
    assert state_of(db, letter) == "resolved"
    assert items_of(db, batch) == [("safe", "succeeded")]


def test_a_letter_whose_payment_was_charged_meanwhile_is_closed_without_a_call(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    sealer: Sealer,
    desk: Desk,
) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    letter = dead_charge(db, payment, sealer)
    charge(ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), db, gateway)

    batch = run_batch(db, gateway, desk)

    assert state_of(db, letter) == "resolved"
    assert items_of(db, batch) == [("already_done", "closed")]
    assert appended_charges(owner) == 1  # the intake's own; the replay appended none
    assert len(stripe_control.effects()) == 1


def test_a_lost_answer_is_found_at_stripe_and_the_replay_only_writes_it_down(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    sealer: Sealer,
    desk: Desk,
) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    stripe_control.add_fault("drop_after", path="/v1/payment_intents", max_firings=1)
    with pytest.raises(TryAgain):
        charge(ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), db, gateway)
    dead_charge(db, payment, sealer)

    batch = classified(db, gateway, desk)

    with db.ops_transaction() as tx:
        (item,) = replays.items(tx, batch)
    assert (item.class_, item.amount_minor) == ("safe", None)
    assert item.proof is not None
    assert "Charged" in item.proof


@pytest.mark.parametrize(("hours", "class_"), [(1, "safe"), (23.5, "must_not"), (25, "needs_new_key")])
def test_an_unanswered_call_that_stripe_does_not_have_is_judged_by_the_age_of_its_key(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    sealer: Sealer,
    desk: Desk,
    hours: float,
    class_: str,
) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    stripe_control.add_fault("drop_before", path="/v1/payment_intents", max_firings=1)
    with pytest.raises(TryAgain):
        charge(ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id), db, gateway)
    owner.execute(
        "UPDATE calls SET first_sent_at = first_sent_at - make_interval(secs => %(s)s), "
        "last_sent_at = last_sent_at - make_interval(secs => %(s)s)",
        {"s": hours * 3600},
    )
    dead_charge(db, payment, sealer)

    batch = classified(db, gateway, desk)

    assert [found[0] for found in items_of(db, batch)] == [class_]


def test_a_cancelled_payment_must_not_be_charged_again(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    sealer: Sealer,
    desk: Desk,
) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    owner.execute("UPDATE payments SET state = 'charging', platform_fee_minor = 0, state_by = 'test'")
    owner.execute("UPDATE payments SET state = 'canceled', state_by = 'test'")
    letter = dead_charge(db, payment, sealer)

    batch = run_batch(db, gateway, desk)

    assert items_of(db, batch) == [("must_not", "skipped")]
    assert state_of(db, letter) == "open"


def test_replaying_everything_twice_and_at_once_appends_each_letter_once(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    sealer: Sealer,
    desk: Desk,
) -> None:
    tenant = factories.tenant(owner)
    payments = [factories.requested(db, tenant) for _ in range(6)]
    for payment in payments:
        dead_charge(db, payment, sealer)
    batches = [classified(db, gateway, desk), classified(db, gateway, desk)]
    for batch in batches:
        desk.start(batch)

    runs = [Thread(target=replay, args=(ReplayDue(batch_id=batch), db, gateway)) for batch in batches * 2]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    deliver_what_was_appended(db, owner, gateway, sealer)

    assert len(stripe_control.effects()) == 6
    outcomes = [state for batch in batches for _, state in items_of(db, batch)]
    assert sorted(outcomes) == ["skipped"] * 6 + ["succeeded"] * 6


def test_a_replay_that_dies_again_opens_its_letter_again(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    sealer: Sealer,
    desk: Desk,
) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    letter = dead_charge(db, payment, sealer)
    batch = run_batch(db, gateway, desk)
    stripe_control.add_fault("error", path="/v1/payment_intents", status=400, max_firings=1)

    deliver_what_was_appended(db, owner, gateway, sealer)

    assert state_of(db, letter) == "open"
    assert items_of(db, batch) == [("safe", "failed")]
    with db.ops_transaction() as tx:
        detail = letters.detail(tx, letter)
    assert detail is not None
    assert (detail.letter.deaths, len(detail.history)) == (2, 1)
    assert detail.history[0].traceback


def test_a_message_whose_id_is_none_of_ours_is_left_to_an_edit_and_never_stuck(
    db: Database, owner: psycopg.Connection, gateway: Gateway, sealer: Sealer, desk: Desk
) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    letter = dead_charge(db, payment, sealer)
    owner.execute("UPDATE dead_letters SET message_id = 'no-uuid'")

    batch = run_batch(db, gateway, desk)

    assert items_of(db, batch) == [("must_not", "skipped")]
    assert state_of(db, letter) == "open"


def test_a_dear_batch_waits_for_a_second_person(
    db: Database, owner: psycopg.Connection, gateway: Gateway, sealer: Sealer
) -> None:
    ada = Desk(db, OpsSettings(app_env=AppEnv.TEST, replay_approval_minor=1_000), "ada")
    dead_charge(db, factories.requested(db, factories.tenant(owner), amount_minor=4200), sealer)
    batch = classified(db, gateway, ada)

    assert ada.start(batch) == "awaiting_approval"
    with pytest.raises(RefusedError, match="two people"):
        ada.approve(batch)
    Desk(db, ada.settings, "grace").approve(batch)

    with db.ops_transaction() as tx:
        found = replays.get(tx, batch)
    assert found is not None
    assert (found.state, found.started_by, found.approved_by) == ("running", "ada", "grace")


def test_an_order_of_a_tenant_that_was_unknown_is_taken_when_it_comes_back(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    sealer: Sealer,
    desk: Desk,
) -> None:
    tenant = factories.tenant(owner)
    data = factories.order(tenant)
    owner.execute("DELETE FROM venues")
    from outbox.intake.accept import accept  # noqa: PLC0415  the door, used twice below
    from outbox.intake.offers import Outcome  # noqa: PLC0415
    from outbox.intake.reading import Incoming  # noqa: PLC0415

    assert accept(db, [Incoming(factories.event(data))], sealer) == [Outcome.DEAD]
    from db import tenants  # noqa: PLC0415

    tenants.register(owner, [tenant])

    batch = run_batch(db, gateway, desk)
    row = owner.execute("SELECT message_id, body FROM outbox WHERE kind = 'order.placed'").fetchone()
    assert row is not None
    again = accept(db, [Incoming(bytes(row[1]), str(row[0]), row[0])], sealer)

    assert again == [Outcome.ACCEPTED]
    assert items_of(db, batch) == [("safe", "succeeded")]
    assert state_of(db, row[0]) == "resolved"


def dead_charge(db: Database, payment: Payment, sealer: Sealer) -> UUID:
    """The letter of a charge message that gave up."""
    original = orjson.dumps({"tenant_id": str(payment.tenant_id), "payment_id": str(payment.payment_id)})
    letter = DeadLetter(
        source="worker",
        reason="tries used up",
        payload=original.decode(),
        original=original,
        sealed=sealer.seal(original),
        tenant_id=payment.tenant_id,
        payment_id=payment.payment_id,
        message_id=str(payment.payment_id),
        kind="charge",
        queue="charges",
    )
    with db.system_transaction() as tx:
        assert dead_letters.bury(tx, letter)
    with db.ops_transaction() as tx:
        return letters.find(tx, Filter(payment_id=payment.payment_id))[0].dead_letter_id


def classified(db: Database, gateway: Gateway, desk: Desk) -> UUID:
    batch, _ = desk.preview(Filter(), reason="the world is well again", rate_per_second=1000)
    classify(ClassifyDue(batch_id=batch), db, gateway)
    return batch


def run_batch(db: Database, gateway: Gateway, desk: Desk) -> UUID:
    batch = classified(db, gateway, desk)
    assert desk.start(batch) == "running"
    replay(ReplayDue(batch_id=batch), db, gateway)
    return batch


def deliver_what_was_appended(db: Database, owner: psycopg.Connection, gateway: Gateway, sealer: Sealer) -> None:
    """What relay and worker do with the charges that a replay appended."""
    rows = owner.execute("SELECT body FROM outbox WHERE kind = 'charge' ORDER BY id").fetchall()
    messages: list[dict[str, Any]] = [orjson.loads(row[0]) for row in rows]
    for message in messages:
        if message["options"].get("replayed"):
            envelope = actor.envelope_of(message["message_id"], message["options"])
            actor.run(ACTORS["charge"], message["kwargs"]["payload"], envelope, db, gateway, sealer)


def items_of(db: Database, batch: UUID) -> list[tuple[str | None, str]]:
    with db.ops_transaction() as tx:
        return [(item.class_, item.state) for item in replays.items(tx, batch)]


def state_of(db: Database, letter: UUID) -> str:
    with db.ops_transaction() as tx:
        return letters.find(tx, Filter(ids=(letter,), state=None))[0].state


def appended_charges(owner: psycopg.Connection) -> int:
    row = owner.execute("SELECT count(*) FROM outbox WHERE kind = 'charge'").fetchone()
    assert row is not None
    return int(row[0])
