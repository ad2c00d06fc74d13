"""What the fired fault rules do to one request, gathered into one value that the layers ask."""

import random
from dataclasses import dataclass
from typing import Any

from ..faults import FaultRule
from ..wire.errors import Json, StripeError, key_in_use, lock_timeout, rate_limited


@dataclass(slots=True)
class Interference:
    """What the layers do differently for this request; without faults, nothing."""

    names: str | None = None
    latency_seconds: float = 0.0
    hold_seconds: float = 0.0
    drop_before: bool = False
    refusal: StripeError | None = None  # answered before anything is looked at; nothing is stored
    instead: StripeError | None = None  # answered instead of the result
    instead_is_stored: bool = False
    executes: bool = True
    execute_later_seconds: float | None = None
    manner: str = "whole"  # whole, drop_after, truncate_body, slow_body, non_json_body
    body_seconds: float = 0.0
    proxy_status: int = 502

    @classmethod
    def of(cls, fired: list[FaultRule], chance: random.Random) -> "Interference":
        """Gather the effects of all fired rules; of two that contradict one another the later wins."""
        gathered = cls()
        for rule in fired:
            gathered.names = rule.effect if gathered.names is None else f"{gathered.names},{rule.effect}"
            gathered._add(rule.effect, rule.details, chance)
        return gathered

    def _add(self, effect: str, details: Json, chance: random.Random) -> None:
        match effect:
            case "latency":
                self.latency_seconds += _seconds(details, chance)
            case "slow_execution":
                self.hold_seconds += _seconds(details, chance)
            case "drop_before":
                self.drop_before = True
            case "rate_limit" | "lock_timeout" | "key_in_use":
                self.refusal = _refusal(effect, details)
            case "error" | "error_with_effect" | "error_rolled_forward":
                self._answer_an_error(effect, details)
            case _:
                self._disturb_the_answer(effect, details, chance)

    def _answer_an_error(self, effect: str, details: Json) -> None:
        error = _failure(details)
        stored = details.get("stored", effect != "error")
        if effect == "error" and not stored:
            self.refusal = error
            return
        self.instead, self.instead_is_stored = error, stored
        self.executes = effect == "error_with_effect"
        if effect == "error_rolled_forward":
            self.execute_later_seconds = float(details.get("seconds", 1))

    def _disturb_the_answer(self, effect: str, details: Json, chance: random.Random) -> None:
        self.manner = effect
        self.body_seconds = _seconds(details, chance)
        self.proxy_status = int(details.get("status", 502))
        if not details.get("with_effect", True):
            self.refusal = StripeError(self.proxy_status, "api_error", "A proxy answered.")


def _seconds(details: Json, chance: random.Random) -> float:
    if "max_seconds" in details:
        return chance.uniform(float(details.get("min_seconds", 0)), float(details["max_seconds"]))
    return float(details.get("seconds", 1))


def _refusal(effect: str, details: Json) -> StripeError:
    match effect:
        case "rate_limit":
            made = rate_limited(details.get("reason", "global-rate"))
        case "lock_timeout":
            made = lock_timeout()
        case _:
            made = key_in_use("held by another request")
    made.headers |= _should_retry(details)
    return made


def _failure(details: Json) -> StripeError:
    status = int(details.get("status", 500))
    message = (
        "An error occurred with our connection to the dependency." if status == 424 else "An unknown error occurred."
    )
    return StripeError(status, "api_error", message, headers=_should_retry(details))


def _should_retry(details: dict[str, Any]) -> dict[str, str]:
    wanted = details.get("should_retry")
    return {} if wanted is None else {"Stripe-Should-Retry": "true" if wanted else "false"}
