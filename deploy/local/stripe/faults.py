"""Faults on order: each rule names calls and what goes wrong with them; each firing is logged in the recorder.

A rule matches by method, path, account and key (shell patterns), then fires on the nth match, with a probability from
the emulator's seed, or always, at most `max_firings` times. Webhook rules match by event type instead of path. Rules
live in memory and end with the process; firings are durable.
"""

import random
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase

from .state.recorder import Recorder
from .wire.errors import Json

API_EFFECTS = {
    "latency": "wait `seconds`, or between `min_seconds` and `max_seconds`, before anything is looked at",
    "slow_execution": "wait `seconds` while the idempotency key is held; others with the key get 409",
    "drop_before": "reset the connection; nothing is executed",
    "drop_after": "execute and commit, then reset the connection without an answer",
    "truncate_body": "execute and commit, then cut the connection in the middle of the body",
    "slow_body": "execute and commit, send headers, wait `seconds`, then send the body",
    "non_json_body": "execute and commit (not if `with_effect` is false), then answer `status` (502) in HTML",
    "rate_limit": "429 with `reason` (global-rate, endpoint-rate, global-concurrency, ...); nothing is executed",
    "lock_timeout": "429 lock_timeout; nothing is executed",
    "key_in_use": "409 idempotency_key_in_use; nothing is executed",
    "error": "answer `status` (500, 503, 424, ...) without effect; kept under the key when `stored` is true",
    "error_with_effect": "execute and commit, answer `status` (500) and keep that under the key",
    "error_rolled_forward": "answer 500 and keep it under the key; execute `seconds` later: only events tell",
}
WEBHOOK_EFFECTS = {
    "webhook_delay": "deliver `seconds` later",
    "webhook_shuffle": "deliver after a random time up to `seconds`, so that order is lost",
    "webhook_duplicate": "deliver the same event `copies` (2) times",
    "webhook_twin": "make a second event with its own id for the same change",
    "webhook_drop": "never deliver; only the events list has it",
    "webhook_wrong_signature": "sign the first `attempts` (1) with a wrong secret",
    "webhook_old_timestamp": "date the signature of the first `attempts` (1) `age_seconds` (600) back",
}
EFFECTS = API_EFFECTS | WEBHOOK_EFFECTS


@dataclass(slots=True)
class FaultRule:
    """One rule: which calls or events it matches, when it fires, and the `details` of its effect (seconds, status,
    reason, ...). `nth` and `max_firings` count from 1; `probability` is between 0 and 1.
    """

    id: str
    effect: str
    method: str = "*"
    path: str = "*"
    account: str = "*"
    key: str = "*"
    event_type: str = "*"
    nth: int | None = None
    probability: float | None = None
    max_firings: int | None = None
    details: Json = field(default_factory=dict)
    matched: int = 0
    fired: int = 0

    def describe(self) -> Json:
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def decides_to_fire(self, chance: random.Random) -> bool:
        """Called once per match, and counts it."""
        self.matched += 1
        if self.max_firings is not None and self.fired >= self.max_firings:
            return False
        if self.nth is not None and self.matched != self.nth:
            return False
        if self.probability is not None and chance.random() >= self.probability:
            return False
        self.fired += 1
        return True


@dataclass(slots=True)
class FaultRules:
    """The rules in force, in the order in which they were added."""

    recorder: Recorder
    chance: random.Random
    rules: dict[str, FaultRule] = field(default_factory=dict)
    number: int = 0

    def add(self, effect: str, **matching: object) -> FaultRule:
        """Add a rule; names that are not a rule's own become details of the effect.

        Raises:
            ValueError: no such effect.
        """
        if effect not in EFFECTS:
            raise ValueError(f"unknown effect {effect}; known: {', '.join(EFFECTS)}")
        known = {part.name for part in fields(FaultRule)} - {"id", "effect", "details", "matched", "fired"}
        self.number += 1
        named = {name: value for name, value in matching.items() if name in known and value is not None}
        details = {name: value for name, value in matching.items() if name not in known}
        rule = FaultRule(f"fault_{self.number}", effect, details=details, **named)  # type: ignore[arg-type]  # JSON from the control client
        self.rules[rule.id] = rule
        return rule

    def clear(self, rule_id: str | None = None) -> None:
        """Remove one rule, or all of them."""
        if rule_id is None:
            self.rules.clear()
        else:
            self.rules.pop(rule_id, None)

    def for_request(self, method: str, path: str, account: str, key: str | None, request_id: str) -> list[FaultRule]:
        """The rules that fire for this request, recorded as firings; each match counts, fired or not."""
        if not self.rules:
            return []
        matching = [
            rule
            for rule in self.rules.values()
            if rule.effect in API_EFFECTS
            and rule.method in ("*", method)
            and fnmatchcase(path, rule.path)
            and fnmatchcase(account, rule.account)
            and fnmatchcase(key or "", rule.key)
        ]
        return self._fire(matching, f"{method} {path}", request_id)

    def for_event(self, event_type: str, account: str, event_id: str) -> list[FaultRule]:
        """The webhook rules that fire for this event, recorded as firings."""
        if not self.rules:
            return []
        matching = [
            rule
            for rule in self.rules.values()
            if rule.effect in WEBHOOK_EFFECTS
            and fnmatchcase(event_type, rule.event_type)
            and fnmatchcase(account, rule.account)
        ]
        return self._fire(matching, f"{event_type} {event_id}", None)

    def _fire(self, matching: list[FaultRule], target: str, request_id: str | None) -> list[FaultRule]:
        fired = [rule for rule in matching if rule.decides_to_fire(self.chance)]
        for rule in fired:
            self.recorder.firing(rule.id, rule.effect, target, request_id)
        return fired
