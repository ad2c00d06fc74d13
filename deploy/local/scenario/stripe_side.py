"""What happens at Stripe without anybody asking the fleet: dashboard refunds, disputes and their ends, early fraud
warnings, late refunds, payouts, connected accounts that are emptied.

Everything is picked by the seed and the number of the charge among what was really charged, by Stripe's own recorder.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from deploy.local.stripe.control import ControlRefusedError, EmulatorControl

DASHBOARD_SECONDS = 5.0
TOP_UP_MINOR = 5_000_000
_ENDS = {"needs_response": ("won", "lost", "lost"), "warning_needs_response": ("warning_closed", "needs_response")}


@dataclass(frozen=True, slots=True)
class StripeRates:
    """Of a thousand charges: refunded in the dashboard, disputed, inquired about, warned of. Of a thousand refunds:
    sent back. `most_open`: with one more dispute the oldest is decided; None leaves all of them to `settle`.
    """

    in_dashboard: int = 15
    disputed: int = 8
    inquired: int = 3
    warned: int = 4
    sent_back: int = 40
    most_open: int | None = None


class StripeSide:
    """`happened` counts what was done, for the report; `accounts` are the connected ones.

    The dashboard sends no idempotency key, so that faults can tell it from us.
    """

    def __init__(
        self,
        control: EmulatorControl,
        environment: Mapping[str, str],
        seed: int,
        rates: StripeRates = StripeRates(),
        accounts: Sequence[str] = (),
    ) -> None:
        self.happened: Counter[str] = Counter()
        self._control, self._api_base = control, environment["STRIPE_API_BASE"]
        self._seed, self._rates, self._accounts = seed, rates, accounts
        self._chance = Random(f"{seed}/stripe")  # noqa: S311  seeded, not a secret
        headers = {"Authorization": f"Bearer {environment['STRIPE_SECRET_KEY']}"}
        self._http = urllib3.PoolManager(headers=headers, timeout=DASHBOARD_SECONDS, retries=False)
        self._seen = self._number = 0
        self._open: deque[dict[str, Any]] = deque()

    def act(self) -> None:
        """Look at each charge that is new.

        Raises:
            HTTPError: the emulator is away; what was not looked at will be the next time.
        """
        for effect in self._control.effects(self._seen):
            self._seen = effect["sequence"]
            if effect["kind"] == "charge":
                self._number += 1
                self._look_at(effect, Random(f"{self._seed}/{self._number}/stripe"))  # noqa: S311  seeded, not a secret

    def _look_at(self, charge: dict[str, Any], chance: Random) -> None:
        throw, rates = chance.randrange(1000), self._rates
        if throw < rates.in_dashboard:
            # Mostly a part: what is left may be asked for by a buyer at the same moment.
            self.refund_in_dashboard(charge["object_id"], max(1, charge["amount"] // 5) if throw % 5 else None)
        elif (throw := throw - rates.in_dashboard) < rates.disputed:
            self.dispute(charge["object_id"])
        elif (throw := throw - rates.disputed) < rates.inquired:
            self.dispute(charge["object_id"], inquiry=True)
        elif throw - rates.inquired < rates.warned:
            self.warn(charge["object_id"])
        if rates.most_open is not None and len(self._open) > rates.most_open:
            dispute = self._open.popleft()
            self._decide(dispute["id"], chance.choice(_ENDS[dispute["status"]]))

    def refund_in_dashboard(self, charge_id: str, amount_minor: int | None) -> None:
        """`amount_minor`: None is all of it. Stripe may refuse: it was refunded or disputed meanwhile."""
        amount = {} if amount_minor is None else {"amount": str(amount_minor)}
        with suppress(HTTPError):
            answer = self._ask("POST", "refunds", {"charge": charge_id, **amount})
            self.happened["dashboard refunds" + ("" if answer.status == 200 else " refused")] += 1

    def dispute(self, charge_id: str, *, inquiry: bool = False) -> dict[str, Any] | None:
        """None when Stripe will not have it: disputed or wholly refunded already."""
        what = "inquiries" if inquiry else "disputes"
        made: dict[str, Any] | None = self._try(what, self._control.dispute, charge_id, inquiry=inquiry)
        if made is not None:
            self._open.append(made)
        return made

    def warn(self, charge_id: str) -> None:
        """A card network warns of fraud before anybody disputes."""
        self._try("early fraud warnings", self._control.warn_of_fraud, charge_id)

    def _decide(self, dispute_id: str, outcome: str) -> None:
        """Refused when the fleet has answered it meanwhile, or the clock has."""
        self._try(f"disputes {outcome}", self._control.decide_dispute, dispute_id, outcome)

    def settle(self) -> None:
        """Banks decide disputes, refunds that were pending settle, and some that had succeeded are sent back."""
        for dispute in self._list("disputes"):
            if dispute["status"] in {"needs_response", "under_review"}:
                self._decide(dispute["id"], self._chance.choice(["won", "lost", "lost"]))
            elif dispute["status"].startswith("warning_") and dispute["status"] != "warning_closed":
                self._decide(dispute["id"], "warning_closed")
        for refund in self._list("refunds"):
            if refund["status"] == "pending":
                self._try("refunds settled late", self._control.finish_refund, refund["id"], "succeed")
            elif refund["status"] == "succeeded" and self._chance.randrange(1000) < self._rates.sent_back:
                self._try("refunds sent back", self._control.finish_refund, refund["id"], "fail")

    def pay_out(self) -> None:
        """Everything that is available leaves; the first payout comes back after it was paid."""
        for number, payout in enumerate(self._control.pay_out()):
            self._try("payouts", self._control.finish_payout, payout["id"], "paid")
            if number == 0:
                self._try("payouts that came back", self._control.finish_payout, payout["id"], "failed")

    def pay_out_accounts(self) -> None:
        """Half of the connected accounts send what they have to their banks: nothing of it can be taken back."""
        for account in self._accounts:
            if self._chance.randrange(2):
                self.happened["connected accounts emptied"] += bool(self._control.pay_out(account))

    def win_after_all(self) -> None:
        """Half of the disputes that were lost are won in the end."""
        for dispute in self._list("disputes"):
            if dispute["status"] == "lost" and self._chance.randrange(2):
                self._try("disputes won after they were lost", self._control.decide_dispute, dispute["id"], "won")

    def top_up(self) -> None:
        """The platform adds money of its own: what empty accounts did not give back is missing for others."""
        for currency in ("eur", "gbp", "usd", "jpy"):
            body = {"amount": TOP_UP_MINOR, "currency": currency, "description": "what empty accounts have cost"}
            answer = self._ask("POST", "topups", body)
            assert answer.status == 200, answer.data
            self.happened["top-ups of the platform"] += 1

    def _ask(self, method: str, path: str, fields: Mapping[str, Any]) -> urllib3.BaseHTTPResponse:
        url = f"{self._api_base}/v1/{path}"
        if method == "GET":
            return self._http.request(method, f"{url}?{urlencode(fields)}")
        return self._http.request_encode_body(method, url, fields=fields, encode_multipart=False)

    def _list(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        fields: dict[str, Any] = {"limit": 100}
        while True:
            answer = self._ask("GET", kind, fields)
            assert answer.status == 200, answer.data
            page = answer.json()
            found += page["data"]
            if not page["has_more"]:
                return found
            fields["starting_after"] = page["data"][-1]["id"]

    def _try(self, what: str, act: Any, *args: Any, **details: Any) -> Any:
        """None when Stripe refuses: the object's state does not allow it any more."""
        try:
            made = act(*args, **details)
        except ControlRefusedError:
            self.happened[f"{what}, refused"] += 1
            return None
        self.happened[what] += 1
        return made
