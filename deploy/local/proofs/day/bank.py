"""What happens at Stripe without anybody asking the fleet: dashboard refunds, disputes, warnings, payouts.

Everything is picked by the seed among what was really charged, by the bank's own recorder.
"""

from collections import Counter
from random import Random
from typing import Any

import stripe as sdk

from deploy.local.stripe.control import ControlRefusedError, EmulatorControl
from stripe_client.gateway import Gateway

# Of a thousand charges.
_IN_DASHBOARD, _DISPUTED, _INQUIRED, _WARNED, _SENT_BACK = 15, 8, 3, 4, 40


class Bank:
    """`happened` counts what was done, for the report."""

    def __init__(self, control: EmulatorControl, gateway: Gateway, seed: int) -> None:
        self._control = control
        self._gateway = gateway
        self._chance = Random(seed + 1)  # noqa: S311  a story from a seed, not a secret
        self.happened: Counter[str] = Counter()

    def strike(self) -> None:
        """In the midst of the day: someone refunds in the dashboard, buyers dispute, networks warn."""
        for charge in self._charges():
            throw = self._chance.randrange(1000)
            if throw < _IN_DASHBOARD:
                self._refund_in_dashboard(charge)
            elif throw < _IN_DASHBOARD + _DISPUTED:
                self._try("disputes", self._control.dispute, charge["object_id"])
            elif throw < _IN_DASHBOARD + _DISPUTED + _INQUIRED:
                self._try("inquiries", self._control.dispute, charge["object_id"], inquiry=True)
            elif throw < _IN_DASHBOARD + _DISPUTED + _INQUIRED + _WARNED:
                self._try("early fraud warnings", self._control.warn_of_fraud, charge["object_id"])

    def settle(self) -> None:
        """In the evening: banks decide disputes, some refunds come back, and what is available is paid out."""
        for dispute in self._list("disputes"):
            if dispute["status"] in {"needs_response", "under_review"}:
                outcome = self._chance.choice(["won", "lost", "lost"])
                self._try(f"disputes {outcome}", self._control.decide_dispute, dispute["id"], outcome)
            elif dispute["status"].startswith("warning_") and dispute["status"] != "warning_closed":
                self._try("inquiries closed", self._control.decide_dispute, dispute["id"], "warning_closed")
        for refund in self._list("refunds"):
            if refund["status"] == "pending":
                self._try("refunds settled late", self._control.finish_refund, refund["id"], "succeed")
            elif refund["status"] == "succeeded" and self._chance.randrange(1000) < _SENT_BACK:
                self._try("refunds sent back", self._control.finish_refund, refund["id"], "fail")

    def pay_out(self) -> None:
        """Everything that is available leaves; the first payout comes back after it was paid."""
        for number, payout in enumerate(self._control.pay_out()):
            self._try("payouts", self._control.finish_payout, payout["id"], "paid")
            if number == 0:
                self._try("payouts that came back", self._control.finish_payout, payout["id"], "failed")

    def _charges(self) -> list[dict[str, Any]]:
        return [effect for effect in self._control.effects() if effect["kind"] == "charge"]

    def _refund_in_dashboard(self, charge: dict[str, Any]) -> None:
        amount = {"amount": max(1, charge["amount"] // 3)} if self._chance.randrange(2) else {}
        try:
            self._gateway.send("post", "/v1/refunds", {"charge": charge["object_id"], **amount})
        except sdk.StripeError:  # it was refunded or disputed meanwhile: the dashboard says so, and that is all
            self.happened["dashboard refunds refused"] += 1
        else:
            self.happened["dashboard refunds"] += 1

    def _list(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        params: dict[str, Any] = {"limit": 100}
        while True:
            page: dict[str, Any] = self._gateway.send("get", f"/v1/{kind}", params).data  # type: ignore[assignment]
            found += page["data"]
            if not page["has_more"]:
                return found
            params["starting_after"] = page["data"][-1]["id"]

    def _try(self, what: str, act: Any, *args: Any, **details: Any) -> None:
        try:
            act(*args, **details)
        except ControlRefusedError:  # its state does not allow it any more
            self.happened[f"{what}, refused"] += 1
        else:
            self.happened[what] += 1
