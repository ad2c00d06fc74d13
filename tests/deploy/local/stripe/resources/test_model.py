"""Random sequences of operations against a small model: states, money, keys and events always agree."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess
from deploy.local.stripe.resources.balance.amounts import processing_fee
from tests.deploy.local.stripe.conftest import NO_REDIRECTS

STEPS = st.tuples(
    st.sampled_from(["create", "confirm", "decline", "capture", "cancel", "refund", "dispute", "repeat", "wait"]),
    st.integers(0, 3),  # which intent
    st.integers(50, 5000),  # how much
)

DISPUTE_FEE_MINOR = 1500


@dataclass
class Model:
    """What a reader of Stripe's pages would expect to be true."""

    statuses: dict[str, str] = field(default_factory=dict)
    amounts: dict[str, int] = field(default_factory=dict)
    captured: dict[str, int] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)
    disputed: dict[str, int] = field(default_factory=dict)

    def left(self, intent: str) -> int:
        return self.captured.get(intent, 0) - self.refunded.get(intent, 0)

    def expected_net(self) -> int:
        charged = sum(amount - processing_fee(amount, 290, 30) for amount in self.captured.values())
        withdrawn = sum(amount + DISPUTE_FEE_MINOR for amount in self.disputed.values())
        return charged - sum(self.refunded.values()) - withdrawn


class Run:
    def __init__(self, client: stripe.StripeClient, control: EmulatorControl) -> None:
        self.intents, self.refunds, self.control = client.v1.payment_intents, client.v1.refunds, control
        self.model = Model()
        self.keys = 0
        self.last: tuple[Any, str] | None = None

    def step(self, verb: str, which: int, amount: int) -> None:
        known = list(self.model.statuses)
        if verb == "create" or not known:
            self.create(amount)
        elif verb == "wait":
            self.control.advance_clock(1)
        elif verb == "repeat":
            self.repeat()
        else:
            getattr(self, verb)(known[which % len(known)], amount)

    def create(self, amount: int) -> None:
        params = {
            "amount": amount,
            "currency": "usd",
            "capture_method": "manual",
            "automatic_payment_methods": NO_REDIRECTS,
        }
        made = self._call(self.intents.create, params=params)
        self.model.statuses[made.id], self.model.amounts[made.id] = "requires_payment_method", amount

    def confirm(self, intent: str, _: int) -> None:
        self._move(intent, ("requires_payment_method",), "requires_capture", payment_method="pm_card_visa")

    def decline(self, intent: str, _: int) -> None:
        method = "pm_card_visa_chargeDeclined"
        if self.model.statuses[intent] != "requires_payment_method":
            return
        with pytest.raises(stripe.CardError):
            self._call(self.intents.confirm, intent, params={"payment_method": method})

    def capture(self, intent: str, amount: int) -> None:
        amount = min(amount, self.model.amounts[intent])
        before = self.model.statuses[intent]
        self._move(intent, ("requires_capture",), "succeeded", verb="capture", amount_to_capture=amount)
        if before == "requires_capture":
            self.model.captured[intent] = amount

    def cancel(self, intent: str, _: int) -> None:
        self._move(intent, ("requires_payment_method", "requires_capture"), "canceled", verb="cancel")

    def refund(self, intent: str, amount: int) -> None:
        params = {"payment_intent": intent, "amount": amount}
        if self.model.statuses[intent] == "succeeded" and intent not in self.model.disputed:
            if amount <= self.model.left(intent):
                assert self._call(self.refunds.create, params=params).status == "succeeded"
                self.model.refunded[intent] = self.model.refunded.get(intent, 0) + amount
                return
            reason = "charge_already_refunded" if self.model.left(intent) == 0 else None
        else:
            disputed = intent in self.model.disputed
            reason = "charge_disputed" if disputed else "payment_intent_unexpected_state"
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            self._call(self.refunds.create, params=params)
        assert refusal.value.code == reason

    def dispute(self, intent: str, amount: int) -> None:
        amount = min(amount, self.model.captured.get(intent, 0))
        if amount and intent not in self.model.disputed:
            self.control.dispute(intent, amount=amount)
            self.model.disputed[intent] = amount

    def repeat(self) -> None:
        """The last call again with its key: the same answer, whatever it was, and nothing new."""
        if self.last is None:
            return
        call, key = self.last
        effects = len(self.control.effects())
        try:
            call(options={"idempotency_key": key})
        except stripe.StripeError as error:
            assert error.headers["Idempotent-Replayed"] == "true"
        assert len(self.control.effects()) == effects

    def _move(self, intent: str, allowed: tuple[str, ...], to: str, verb: str = "confirm", **params: Any) -> None:
        move = getattr(self.intents, verb)
        if self.model.statuses[intent] in allowed:
            assert self._call(move, intent, params=params).status == to
            self.model.statuses[intent] = to
        else:
            with pytest.raises(stripe.InvalidRequestError) as refusal:
                self._call(move, intent, params=params)
            assert refusal.value.code == "payment_intent_unexpected_state"

    def _call(self, call: Any, *intent: str, params: dict[str, Any]) -> Any:
        self.keys += 1
        self.last = (partial(call, *intent, params=params), f"key-{self.keys}")
        return self.last[0](options={"idempotency_key": self.last[1]})


@given(steps=st.lists(STEPS, min_size=5, max_size=25))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_ends_where_the_model_ends(emulator: EmulatorProcess, steps: list[tuple[str, int, int]]) -> None:
    control = emulator.control()
    control.reset()
    control.set_refunds_beyond_balance("overdraw")
    client = stripe.StripeClient("sk_test_x", base_addresses={"api": emulator.base_url})
    run = Run(client, control)
    for step in steps:
        run.step(*step)
    control.advance_clock(60)
    summary = control.summary()
    found = {intent.id: intent.status for intent in client.v1.payment_intents.list(params={"limit": 100}).data}
    assert found == run.model.statuses
    assert sum(row["net"] for row in summary["balances"]) == run.model.expected_net()
    assert summary["ledger_errors"] == []
    for kind, amounts in (("charge", run.model.captured), ("dispute", run.model.disputed)):
        told = [(effect["payment_intent"], effect["amount"]) for effect in control.effects() if effect["kind"] == kind]
        assert sorted(told) == sorted(amounts.items())
    refunded = sum(effect["amount"] for effect in control.effects() if effect["kind"] == "refund")
    assert refunded == sum(run.model.refunded.values())
