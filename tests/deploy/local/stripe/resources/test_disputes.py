"""Disputes and early warnings: both tracks, the money that goes and comes, evidence, and what may still be refunded."""

from collections.abc import Callable

import pytest
import stripe

from deploy.local.stripe.control import ControlRefusedError, EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]
DAY_SECONDS = 24 * 3600


@pytest.fixture(autouse=True)
def overdraft(control: EmulatorControl) -> None:
    """Disputes take what is not there; so may the refunds of these tests."""
    control.set_refunds_beyond_balance("overdraw")


def _disputed(pay: Pay, client: stripe.StripeClient, control: EmulatorControl, kind: str = "") -> stripe.Dispute:
    intent = pay(payment_method=f"pm_card_createDispute{kind}", amount=4200, capture_method="automatic")
    control.advance_clock(2)
    return client.v1.disputes.list(params={"payment_intent": intent.id}).data[0]


def _answer(client: stripe.StripeClient, control: EmulatorControl, dispute: str, words: str) -> stripe.Dispute:
    client.v1.disputes.update(dispute, params={"evidence": {"uncategorized_text": words}})
    control.advance_clock(2)
    return client.v1.disputes.retrieve(dispute)


def _told(client: stripe.StripeClient) -> list[str]:
    types = [event.type for event in client.v1.events.list(params={"type": "charge.dispute.*"}).data[::-1]]
    return [kind.removeprefix("charge.dispute.") for kind in types]


def test_a_chargeback_takes_the_amount_and_a_fee_at_once(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    dispute = _disputed(pay, client, control)
    (booked,) = dispute.balance_transactions
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 4200)
    assert (booked.type, booked.reporting_category, booked.source) == ("adjustment", "dispute", dispute.id)
    assert (booked.amount, booked.fee, booked.net, booked.status) == (-4200, 1500, -5700, "available")
    assert (dispute.is_charge_refundable, dispute.evidence_details.submission_count) == (False, 0)
    assert dispute.evidence_details.due_by == dispute.created + 9 * DAY_SECONDS
    assert client.v1.charges.retrieve(str(dispute.charge)).disputed is True
    assert _told(client) == ["created", "funds_withdrawn"]
    assert [(e["kind"], e["amount"]) for e in control.effects()] == [("charge", 4200), ("dispute", 4200)]
    assert control.summary()["ledger_errors"] == []


def test_a_product_that_did_not_come_is_the_reason_of_its_card(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    assert _disputed(pay, client, control, "ProductNotReceived").reason == "product_not_received"


def test_an_inquiry_moves_no_money_and_may_be_refunded(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    dispute = _disputed(pay, client, control, "Inquiry")
    assert (dispute.status, dispute.balance_transactions) == ("warning_needs_response", [])
    assert dispute.is_charge_refundable is True
    assert client.v1.refunds.create(params={"charge": str(dispute.charge)}).status == "succeeded"
    assert control.decide_dispute(dispute.id, "needs_response")["status"] == "warning_closed"
    assert _told(client) == ["created", "closed"]


def test_beside_an_open_or_lost_chargeback_nothing_is_refunded(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    dispute = _disputed(pay, client, control)
    for outcome in ("lost", "won"):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.refunds.create(params={"charge": str(dispute.charge)})
        assert refusal.value.code == "charge_disputed"
        control.decide_dispute(dispute.id, outcome)
    assert client.v1.refunds.create(params={"charge": str(dispute.charge)}).status == "succeeded"


def test_winning_evidence_brings_the_amount_back_and_not_the_fee(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    won = _answer(client, control, _disputed(pay, client, control).id, "winning_evidence")
    _, reinstated = won.balance_transactions
    assert (won.status, won.is_charge_refundable) == ("won", True)
    assert (reinstated.type, reinstated.reporting_category) == ("adjustment", "dispute_reversal")
    assert (reinstated.amount, reinstated.fee, reinstated.net) == (4200, 0, 4200)
    assert _told(client) == ["created", "funds_withdrawn", "updated", "funds_reinstated", "closed"]
    assert control.effects()[-1]["kind"] == "dispute_reversal"


def test_the_fee_comes_back_too_when_the_bank_is_told_so(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    dispute = _disputed(pay, client, control)
    won = control.decide_dispute(dispute.id, "won", fee_comes_back=True)
    assert sum(booked["net"] for booked in won["balance_transactions"]) == 0
    assert control.summary()["ledger_errors"] == []


def test_losing_evidence_loses(pay: Pay, client: stripe.StripeClient, control: EmulatorControl) -> None:
    lost = _answer(client, control, _disputed(pay, client, control).id, "losing_evidence")
    assert (lost.status, len(lost.balance_transactions)) == ("lost", 1)
    assert _told(client) == ["created", "funds_withdrawn", "updated", "closed"]


def test_evidence_is_staged_and_then_submitted_once(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    dispute = _disputed(pay, client, control).id
    staged = client.v1.disputes.update(
        dispute, params={"evidence": {"product_description": "A seat"}, "submit": False, "metadata": {"case": "1"}}
    )
    details = staged.evidence_details
    assert (staged.status, details.has_evidence, details.submission_count) == ("needs_response", True, 0)
    submitted = client.v1.disputes.update(dispute, params={"submit": True})
    assert (submitted.status, submitted.evidence_details.submission_count) == ("under_review", 1)
    assert (submitted.evidence.product_description, submitted.metadata["case"]) == ("A seat", "1")
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.disputes.update(dispute, params={"evidence": {"product_description": "Two seats"}})
    assert client.v1.disputes.update(dispute, params={"metadata": {"case": "2"}}).metadata["case"] == "2"
    control.advance_clock(30 * DAY_SECONDS)
    assert client.v1.disputes.retrieve(dispute).status == "under_review"


@pytest.mark.parametrize(("kind", "status"), [("", "lost"), ("Inquiry", "warning_closed")])
def test_without_an_answer_by_the_due_date_it_is_over(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl, kind: str, status: str
) -> None:
    dispute = _disputed(pay, client, control, kind)
    control.advance_clock(9 * DAY_SECONDS)
    assert client.v1.disputes.retrieve(dispute.id).status == status
    assert _told(client)[-1] == "closed"


@pytest.mark.parametrize(("kind", "status"), [("", "lost"), ("Inquiry", "warning_closed")])
def test_to_close_is_to_accept(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl, kind: str, status: str
) -> None:
    dispute = _disputed(pay, client, control, kind)
    assert client.v1.disputes.close(dispute.id).status == status
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.disputes.close(dispute.id)


def test_an_escalated_inquiry_is_a_chargeback_that_can_be_answered_anew(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    inquiry = _disputed(pay, client, control, "Inquiry")
    dispute = _answer(client, control, inquiry.id, "escalate_inquiry_evidence")
    assert (dispute.status, dispute.is_charge_refundable) == ("needs_response", False)
    assert dispute.payment_method_details is not None
    assert dispute.payment_method_details.card is not None
    assert dispute.payment_method_details.card.case_type == "chargeback"
    assert [booked.net for booked in dispute.balance_transactions] == [-5700]
    assert _told(client) == ["created", "updated", "updated", "funds_withdrawn"]
    control.advance_clock(9 * DAY_SECONDS - 3)
    assert _answer(client, control, dispute.id, "winning_evidence").status == "won"


def test_an_inquiry_that_is_answered_well_closes(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    inquiry = _disputed(pay, client, control, "Inquiry")
    assert _answer(client, control, inquiry.id, "winning_evidence").status == "warning_closed"


def test_a_lost_one_may_be_won_after_all_also_by_appeal(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    dispute = _disputed(pay, client, control)
    client.v1.disputes.close(dispute.id)
    for status in ("appeal_needs_response", "appeal_under_review", "lost", "won"):
        assert control.decide_dispute(dispute.id, status)["status"] == status
    assert [b.net for b in client.v1.disputes.retrieve(dispute.id).balance_transactions] == [-5700, 4200]
    assert _told(client)[2:] == ["closed", "updated", "updated", "closed", "updated", "funds_reinstated", "closed"]
    with pytest.raises(ControlRefusedError, match="won"):
        control.decide_dispute(dispute.id, "lost")


def test_the_control_api_disputes_any_paid_charge_in_part(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay(capture_method="automatic")
    made = control.dispute(intent.id, amount=400, reason="duplicate")
    assert (made["amount"], made["reason"], made["balance_transactions"][0]["net"]) == (400, "duplicate", -1900)
    with pytest.raises(ControlRefusedError, match="charged back already"):
        control.dispute(str(intent.latest_charge))
    with pytest.raises(ControlRefusedError, match="no such paid charge"):
        control.dispute(pay(capture_method="manual").id)
    assert [found.id for found in client.v1.disputes.list(params={"charge": str(intent.latest_charge)}).data] == [
        made["id"]
    ]


def test_a_dispute_after_a_part_was_refunded_is_about_the_rest(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay(capture_method="automatic")
    client.v1.refunds.create(params={"payment_intent": intent.id, "amount": 300})
    assert control.dispute(intent.id)["amount"] == 700


def test_a_refund_on_its_way_fails_when_the_charge_is_disputed(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay(payment_method="pm_card_pendingRefund", capture_method="automatic")
    refund = client.v1.refunds.create(params={"payment_intent": intent.id, "amount": 300})
    assert control.dispute(intent.id)["amount"] == 1000
    failed = client.v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "charge_for_pending_refund_disputed")
    assert control.summary()["ledger_errors"] == []


def test_a_charge_refunded_in_time_is_not_disputed(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay(payment_method="pm_card_createDispute")
    client.v1.refunds.create(params={"payment_intent": intent.id})
    control.advance_clock(10)
    assert client.v1.disputes.list().data == []


def test_a_captured_authorisation_is_disputed_only_once_it_is_captured(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    held = pay(payment_method="pm_card_createDispute", capture_method="manual")
    control.advance_clock(10)
    assert client.v1.disputes.list().data == []
    client.v1.payment_intents.capture(held.id, params={"amount_to_capture": 600})
    control.advance_clock(10)
    assert [dispute.amount for dispute in client.v1.disputes.list().data] == [600]


def test_a_warning_of_fraud_is_actionable_until_the_money_is_back(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    intent = pay(payment_method="pm_card_createIssuerFraudRecord")
    control.advance_clock(2)
    (warning,) = client.v1.radar.early_fraud_warnings.list(params={"payment_intent": intent.id}).data
    assert (warning.actionable, warning.charge, warning.id[:6]) == (True, intent.latest_charge, "issfr_")
    client.v1.refunds.create(params={"payment_intent": intent.id, "amount": 400})
    assert client.v1.radar.early_fraud_warnings.retrieve(warning.id).actionable is True
    client.v1.refunds.create(params={"payment_intent": intent.id})
    assert client.v1.radar.early_fraud_warnings.retrieve(warning.id).actionable is False
    types = [event.type for event in client.v1.events.list(params={"type": "radar.*"}).data]
    assert types == ["radar.early_fraud_warning.updated", "radar.early_fraud_warning.created"]


def test_a_dispute_makes_a_warning_moot(pay: Pay, client: stripe.StripeClient, control: EmulatorControl) -> None:
    intent = pay()
    warning = control.warn_of_fraud(intent.id, "made_with_lost_card")
    control.dispute(intent.id)
    found = client.v1.radar.early_fraud_warnings.list(params={"charge": str(intent.latest_charge)}).data
    assert [(w.id, w.actionable, w.fraud_type) for w in found] == [(warning["id"], False, "made_with_lost_card")]


def test_evidence_that_is_an_uploaded_file_is_not_served(
    pay: Pay, client: stripe.StripeClient, control: EmulatorControl
) -> None:
    dispute = _disputed(pay, client, control)
    with pytest.raises(stripe.APIError) as refusal:
        client.v1.disputes.update(dispute.id, params={"evidence": {"receipt": "file_1"}})
    assert refusal.value.http_status == 501


def test_evidence_has_its_measure(pay: Pay, client: stripe.StripeClient, control: EmulatorControl) -> None:
    dispute = _disputed(pay, client, control)
    fields = (
        "access_activity_log", "cancellation_policy_disclosure", "cancellation_rebuttal", "product_description",
        "duplicate_charge_explanation", "refund_policy_disclosure", "refund_refusal_explanation", "uncategorized_text",
    )  # fmt: skip
    for evidence in ({"uncategorized_text": "x" * 20_001}, dict.fromkeys(fields, "x" * 20_000)):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.disputes.update(dispute.id, params={"evidence": evidence})  # type: ignore[typeddict-item]  # a plain dict
