"""What happens at Stripe to shares without anybody asking the fleet: accounts are emptied, lost disputes are won."""

from random import Random

from deploy.local.proofs.day.bank import Bank
from deploy.local.proofs.shares.market import Market
from deploy.local.stripe.control import EmulatorControl
from stripe_client.gateway import Gateway

TOP_UP_MINOR = 5_000_000


class ShareBank(Bank):
    def __init__(self, control: EmulatorControl, gateway: Gateway, market: Market, seed: int) -> None:
        super().__init__(control, gateway, seed)
        self._market = market
        self._stories = Random(seed + 2)  # noqa: S311  a story from a seed, not a secret

    def pay_out_accounts(self) -> None:
        """Half of the accounts send what they have to their banks, so that nothing of it can be taken back."""
        for account in self._market.all_accounts:
            if self._stories.randrange(2):
                self.happened["connected accounts emptied"] += bool(self._control.pay_out(account))

    def win_after_all(self) -> None:
        """Half of the disputes that were lost are won in the end."""
        for dispute in self._list("disputes"):
            if dispute["status"] == "lost" and self._stories.randrange(2):
                self._try("disputes won after they were lost", self._control.decide_dispute, dispute["id"], "won")

    def top_up(self) -> None:
        """The platform brings money of its own: what empty accounts did not give back is missing for others."""
        for currency in ("eur", "gbp", "usd", "jpy"):
            body = {"amount": TOP_UP_MINOR, "currency": currency, "description": "what empty accounts have cost"}
            self._gateway.send("post", "/v1/topups", body)
            self.happened["top-ups of the platform"] += 1
