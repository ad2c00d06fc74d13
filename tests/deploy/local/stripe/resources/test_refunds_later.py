"""What becomes of a refund: it arrives, fails after all, waits for money, is canceled, or was never answered."""

from collections.abc import Callable

import pytest
import stripe

from deploy.local.stripe.control import ControlRefusedError, EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]
Refund = Callable[..., stripe.Refund]
DAY_SECONDS = 24 * 3600


def test_a_pending_refund_arrives_by_the_clock(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    made = refund(pay(payment_method="pm_card_pendingRefund").id)
    assert (made.status, made.pending_reason) == ("pending", "processing")
    assert made.balance_transaction is not None
    control.advance_clock(60)
    arrived = client.v1.refunds.retrieve(made.id)
    assert (arrived.status, arrived.balance_transaction) == ("succeeded", made.balance_transaction)
    event = client.v1.events.list(params={"type": "refund.updated"}).data[0].to_dict()
    assert event["data"]["previous_attributes"] == {"status": "pending"}
    assert event["request"]["id"] is None


def test_a_refund_that_had_succeeded_fails_and_the_money_is_ours_again(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay(payment_method="pm_card_refundFail", capture_method="automatic")
    made = refund(intent.id)
    assert made.status == "succeeded"
    control.advance_clock(60)
    failed = client.v1.refunds.retrieve(made.id, params={"expand": ["failure_balance_transaction", "charge"]})
    booked, charge = failed.failure_balance_transaction, failed.charge
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert (booked.type, booked.reporting_category, booked.net) == ("refund_failure", "refund_failure", 1000)  # type: ignore[union-attr]  # expanded
    assert (charge.amount_refunded, charge.refunded) == (0, False)  # type: ignore[union-attr]  # expanded
    assert [(e["kind"], e["amount"]) for e in control.effects()[1:]] == [("refund", 1000), ("refund_failure", 1000)]
    types = [
        event.type for event in client.v1.events.list(params={"types": ["refund.*", "charge.refund.updated"]}).data
    ]
    assert types[:3] == ["refund.failed", "charge.refund.updated", "refund.updated"]
    assert refund(intent.id).amount == 1000


def test_the_control_api_fails_any_refund_with_a_reason(pay: Pay, refund: Refund, control: EmulatorControl) -> None:
    made = refund(pay().id, amount=400)
    assert (
        control.finish_refund(made.id, "fail", reason="lost_or_stolen_card")["failure_reason"] == "lost_or_stolen_card"
    )
    with pytest.raises(ControlRefusedError, match="failed"):
        control.finish_refund(made.id, "fail")
    with pytest.raises(ControlRefusedError, match="no such refund"):
        control.finish_refund("re_unknown", "fail")
    with pytest.raises(ControlRefusedError, match="failure reason"):
        control.finish_refund(made.id, "fail", reason="rain")


def test_a_refund_is_canceled_only_while_the_buyer_is_asked(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    made = refund(pay(payment_method="pm_card_pendingRefund").id)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.cancel(made.id)
    assert control.finish_refund(made.id, "ask_buyer")["status"] == "requires_action"
    control.advance_clock(DAY_SECONDS)
    canceled = client.v1.refunds.cancel(made.id, params={"expand": ["charge"]})
    assert (canceled.status, canceled.charge.amount_refunded) == ("canceled", 0)  # type: ignore[union-attr]  # expanded
    assert control.summary()["ledger_errors"] == []
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.cancel(made.id)


def test_the_refund_of_a_bank_debit_is_a_payment_refund_that_takes_its_time(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay(payment_method="pm_usBankAccount_success")
    control.advance_clock(200)
    made = refund(intent.id, expand=["balance_transaction"])
    assert (made.id[:4], made.status, made.balance_transaction.type) == ("pyr_", "pending", "payment_refund")  # type: ignore[union-attr]  # expanded
    control.advance_clock(60)
    assert client.v1.refunds.retrieve(made.id).status == "succeeded"


def test_a_card_refund_waits_for_money_and_goes_out_when_there_is_some(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    control.set_refunds_beyond_balance("wait")
    intent = pay(capture_method="automatic")
    waiting = refund(intent.id, amount=900)
    assert (waiting.status, waiting.pending_reason, waiting.balance_transaction) == (
        "pending",
        "insufficient_funds",
        None,
    )
    assert [effect["kind"] for effect in control.effects()] == ["charge"]
    with pytest.raises(stripe.InvalidRequestError):
        refund(intent.id, amount=101)
    control.advance_clock(2 * DAY_SECONDS)
    sent = client.v1.refunds.retrieve(waiting.id)
    assert sent.status == "succeeded"
    assert sent.balance_transaction is not None
    assert client.v1.balance.retrieve().available[0].amount == 41
    arrived = client.v1.events.list(params={"type": "balance.available"}).data
    assert arrived[0].to_dict()["data"]["object"]["available"][0]["amount"] == 941


def test_a_bank_refund_without_money_fails_at_once(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    control.set_refunds_beyond_balance("wait")
    intent = pay(payment_method="pm_usBankAccount_success")
    control.advance_clock(200)
    made = refund(intent.id)
    assert (made.status, made.failure_reason, made.balance_transaction) == ("failed", "insufficient_funds", None)
    assert client.v1.charges.retrieve(str(intent.latest_charge)).amount_refunded == 0


def test_allowing_an_overdraft_sends_what_waited(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    control.set_refunds_beyond_balance("wait")
    waiting = refund(pay(capture_method="automatic").id)
    control.set_refunds_beyond_balance("overdraw")
    assert client.v1.refunds.retrieve(waiting.id).status == "succeeded"
    assert client.v1.balance.retrieve().available[0].amount == -1000


def test_an_emulator_waits_for_money_unless_told_otherwise(pay: Pay, client: stripe.StripeClient) -> None:
    assert client.v1.refunds.create(params={"payment_intent": pay().id}).pending_reason == "insufficient_funds"


def test_a_refund_whose_answer_is_lost_is_found_by_list_and_not_made_again(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay()
    control.add_fault("drop_after", method="POST", path="/v1/refunds", nth=1)
    with pytest.raises(stripe.APIConnectionError):
        refund(intent.id, key="lost", metadata={"refund_id": "r-1"})
    (found,) = client.v1.refunds.list(params={"payment_intent": intent.id}).data
    assert found.metadata is not None
    assert found.metadata["refund_id"] == "r-1"
    assert refund(intent.id, key="lost", metadata={"refund_id": "r-1"}).id == found.id


def test_a_refund_rolled_forward_after_a_500_is_told_by_events_alone(
    pay: Pay, refund: Refund, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay()
    control.add_fault("error_rolled_forward", method="POST", path="/v1/refunds", nth=1, seconds=5)
    with pytest.raises(stripe.APIError):
        refund(intent.id, key="lost")
    with pytest.raises(stripe.APIError):
        refund(intent.id, key="lost")
    control.advance_clock(5)
    (told,) = client.v1.events.list(params={"type": "refund.created"}).data
    assert told.request is not None
    assert told.request.idempotency_key == "lost"
    assert client.v1.charges.retrieve(str(intent.latest_charge)).refunded is True
