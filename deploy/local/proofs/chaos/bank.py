"""What happens at Stripe without the fleet under chaos: dashboard refunds, disputes and their ends, early warnings.

Picked among the charges that Stripe's own recorder has made, by the seed and the number of the charge.
"""

import contextlib
from collections import Counter, deque
from random import Random
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from deploy.local.stripe.control import ControlRefusedError, EmulatorControl

# Of a thousand charges.
_IN_DASHBOARD, _DISPUTED, _INQUIRED, _WARNED = 25, 12, 5, 5
_OPEN = 3  # disputes that wait; with each new one the oldest is decided
_ENDS = {"needs_response": ("won", "lost", "lost"), "warning_needs_response": ("warning_closed", "needs_response")}
DASHBOARD_SECONDS = 5.0


class Bank:
    """`happened` counts what was done. The dashboard sends no idempotency key, so that faults can tell it from us."""

    def __init__(self, control: EmulatorControl, api_base: str, key: str, seed: int) -> None:
        self.happened: Counter[str] = Counter()
        self._control, self._api_base, self._seed = control, api_base, seed
        headers = {"Authorization": f"Bearer {key}"}
        self._http = urllib3.PoolManager(headers=headers, timeout=DASHBOARD_SECONDS, retries=False)
        self._seen = self._number = 0
        self._waiting: deque[dict[str, Any]] = deque()

    def act(self) -> None:
        """Look at each charge that is new."""
        with contextlib.suppress(HTTPError):
            for effect in self._control.effects(self._seen):
                self._seen = effect["sequence"]
                if effect["kind"] == "charge":
                    self._number += 1
                    self._look_at(effect, Random(f"{self._seed}/{self._number}/bank"))  # noqa: S311  a story from a seed

    def _look_at(self, charge: dict[str, Any], chance: Random) -> None:
        throw = chance.randrange(1000)
        if throw < _IN_DASHBOARD:
            # Nearly always a part: what is left may be asked for by a buyer at the same moment.
            self.refund_in_dashboard(charge["object_id"], max(1, charge["amount"] // 5) if throw % 5 else None)
        elif throw < _IN_DASHBOARD + _DISPUTED:
            self.dispute(charge["object_id"])
        elif throw < _IN_DASHBOARD + _DISPUTED + _INQUIRED:
            self.dispute(charge["object_id"], inquiry=True)
        elif throw < _IN_DASHBOARD + _DISPUTED + _INQUIRED + _WARNED:
            self.warn(charge["object_id"])
        if len(self._waiting) > _OPEN:
            self._decide(chance)

    def refund_in_dashboard(self, charge_id: str, amount_minor: int | None) -> None:
        amount = {} if amount_minor is None else {"amount": str(amount_minor)}
        fields: dict[str, Any] = {"charge": charge_id, **amount}
        with contextlib.suppress(HTTPError):
            answer = self._http.request_encode_body(
                "POST", f"{self._api_base}/v1/refunds", fields=fields, encode_multipart=False
            )
            self.happened["dashboard refunds" + ("" if answer.status == 200 else " refused")] += 1

    def dispute(self, charge_id: str, *, inquiry: bool = False) -> dict[str, Any] | None:
        """None when Stripe will not have it: disputed or wholly refunded already."""
        with contextlib.suppress(ControlRefusedError):
            made = self._control.dispute(charge_id, inquiry=inquiry)
            self._waiting.append(made)
            self.happened["inquiries" if inquiry else "disputes"] += 1
            return made
        return None

    def warn(self, charge_id: str) -> None:
        with contextlib.suppress(ControlRefusedError):
            self._control.warn_of_fraud(charge_id)
            self.happened["early warnings"] += 1

    def _decide(self, chance: Random) -> None:
        dispute = self._waiting.popleft()
        outcome = chance.choice(_ENDS[dispute["status"]])
        with contextlib.suppress(ControlRefusedError):  # the fleet has answered it meanwhile, or the clock has
            self._control.decide_dispute(dispute["id"], outcome)
            self.happened[f"disputes {outcome}"] += 1
