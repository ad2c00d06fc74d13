"""Random sequences of charges, transfers, reversals, refunds and payouts against a small model of three parties."""

from dataclasses import dataclass, field
from typing import Any

import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess
from deploy.local.stripe.resources.balance.amounts import processing_fee
from tests.deploy.local.stripe.conftest import NO_REDIRECTS

VENUE, ARTIST, PLATFORM = "acct_venue", "acct_artist", "acct_1EmulatorPlatform"
STEPS = st.tuples(
    st.sampled_from(["charge", "share", "transfer", "from_charge", "reverse", "refund", "pay_out", "wait"]),
    st.integers(0, 3),  # which one of those there are
    st.integers(50, 3000),  # how much
)


@dataclass
class Books:
    """Who has what, and what is left to send on of each charge and to take back of each transfer."""

    net: dict[str, int] = field(default_factory=lambda: {VENUE: 0, ARTIST: 0, PLATFORM: 0})
    charges: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    transfers: dict[str, tuple[str, int]] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)

    def move(self, account: str, amount_minor: int) -> None:
        self.net[account] += amount_minor
        self.net[PLATFORM] -= amount_minor


class Run:
    def __init__(self, client: stripe.StripeClient, control: EmulatorControl) -> None:
        self.v1, self.control, self.books = client.v1, control, Books()

    def charge(self, _: int, amount: int, **more: Any) -> Any:
        params = {"amount": amount, "currency": "usd", "payment_method": "pm_card_bypassPending", "confirm": True}
        params |= {"automatic_payment_methods": NO_REDIRECTS, "capture_method": "automatic"}
        intent = self.v1.payment_intents.create(params={**params, **more, "expand": ["latest_charge"]})  # type: ignore[typeddict-item, misc]  # plain dictionaries
        charge: Any = intent.latest_charge
        self.books.charges[charge.id], self.books.sent[charge.id] = amount, 0
        self.books.net[PLATFORM] += amount - processing_fee(amount, 290, 30)
        return charge

    def share(self, which: int, amount: int) -> None:
        """A destination charge with a tenth as the platform's fee."""
        account, fee = (VENUE, ARTIST)[which % 2], amount // 10
        charge = self.charge(which, amount, transfer_data={"destination": account}, application_fee_amount=fee)
        self.books.sent[charge.id] = amount
        self.books.move(account, amount - fee)

    def transfer(self, which: int, amount: int, **source: Any) -> None:
        account = (VENUE, ARTIST)[which % 2]
        params = {"amount": amount, "currency": "usd", "destination": account} | source
        try:
            made = self.v1.transfers.create(params=params)  # type: ignore[arg-type]  # a plain dictionary
        except stripe.InvalidRequestError as refusal:
            if source:
                assert self.books.sent[source["source_transaction"]] + amount > self._of(source)
            else:
                assert (refusal.code, amount > self.books.net[PLATFORM]) == ("balance_insufficient", True)
            return
        if source:
            self.books.sent[source["source_transaction"]] += amount
            assert self.books.sent[source["source_transaction"]] <= self._of(source)
        else:
            assert amount <= self.books.net[PLATFORM]
        self.books.transfers[made.id] = (account, amount)
        self.books.move(account, amount)

    def _of(self, source: Any) -> int:
        return self.books.charges[source["source_transaction"]]

    def from_charge(self, which: int, amount: int) -> None:
        if known := list(self.books.charges):
            self.transfer(which, amount, source_transaction=known[which % len(known)])

    def reverse(self, which: int, amount: int) -> None:
        if not self.books.transfers:
            return
        name = list(self.books.transfers)[which % len(self.books.transfers)]
        account, left = self.books.transfers[name]
        allowed = amount <= left and amount <= self.books.net[account]
        try:
            self.v1.transfers.reversals.create(name, params={"amount": amount})
        except stripe.InvalidRequestError:
            assert not allowed
            return
        assert allowed
        self.books.transfers[name] = (account, left - amount)
        self.books.move(account, -amount)

    def refund(self, which: int, amount: int) -> None:
        if not self.books.charges:
            return
        name = list(self.books.charges)[which % len(self.books.charges)]
        left = self.books.charges[name] - self.books.refunded.get(name, 0)
        if 0 < amount <= left:
            self.v1.refunds.create(params={"charge": name, "amount": amount})
            self.books.refunded[name] = self.books.refunded.get(name, 0) + amount
            self.books.net[PLATFORM] -= amount

    def pay_out(self, which: int, _: int) -> None:
        account = (VENUE, ARTIST)[which % 2]
        paid = sum(payout["amount"] for payout in self.control.pay_out(account))
        assert paid == max(self.books.net[account], 0)
        self.books.net[account] -= paid

    def wait(self, *_: int) -> None:
        self.control.advance_clock(3600)


@given(steps=st.lists(STEPS, min_size=8, max_size=25))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_leaves_each_party_what_the_model_says(
    emulator: EmulatorProcess, steps: list[tuple[str, int, int]]
) -> None:
    control = emulator.control()
    control.reset()
    control.set_refunds_beyond_balance("overdraw")
    for account in (VENUE, ARTIST):
        control.account(account)
    run = Run(stripe.StripeClient("sk_test_x", base_addresses={"api": emulator.base_url}), control)
    for verb, which, amount in steps:
        getattr(run, verb)(which, amount)
    summary = control.summary()
    found = dict.fromkeys(run.books.net, 0) | {row["account"]: row["net"] for row in summary["balances"]}
    assert found == run.books.net
    assert summary["ledger_errors"] == []
