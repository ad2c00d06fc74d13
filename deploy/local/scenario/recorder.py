"""Stripe's own recorder beside the book: each charge and each refund it made is there once, with its amount.

The checker (workers/verify/verify.py) reads Stripe through its API; this list was written by the emulator as it acted,
and nobody who could be wrong about it has had it in hand.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from deploy.local.stripe.control import EmulatorControl

Row = dict[str, Any]


@dataclass(slots=True)
class Sums:
    """What must be zero, as found at one moment; `findings` says it in words."""

    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    unexplained_minor: int = 0
    charges: int = 0  # at the bank; these two alone need not be zero
    refunds: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.unexpected or self.unexplained_minor)

    def beyond(self, before: "Sums") -> "Sums":
        """What is new since `before`."""
        return Sums(
            max(0, self.lost - before.lost),
            max(0, self.duplicated - before.duplicated),
            max(0, self.unexpected - before.unexpected),
            max(0, self.unexplained_minor - before.unexplained_minor),
            self.charges - before.charges,
            self.refunds - before.refunds,
            [finding for finding in self.findings if finding not in before.findings],
        )


BOOKED_CHARGES = """
    SELECT p.payment_id::text, c.amount_minor, c.currency FROM payments p JOIN charges c USING (tenant_id, payment_id)
"""
BOOKED_REFUNDS = """
    SELECT stripe_refund_id, amount_minor, currency FROM refunds WHERE balance_transaction_id IS NOT NULL
"""


def look(control: EmulatorControl, owner: psycopg.Connection[Any]) -> Sums:
    """What the recorder and the book say, compared."""
    sums = Sums()
    with owner.cursor(row_factory=dict_row) as cursor:
        charges, refunds = (cursor.execute(query).fetchall() for query in (BOOKED_CHARGES, BOOKED_REFUNDS))
    compare(sums, control.effects(), charges, refunds)
    return sums


def compare(sums: Sums, effects: list[Row], charges: list[Row], refunds: list[Row]) -> None:
    """Add to the sums what the recorder and the book do not say alike."""
    made = [effect for effect in effects if effect["kind"] == "charge"]
    given = [effect for effect in effects if effect["kind"] == "refund"]
    sums.charges, sums.refunds = len(made), len(given)
    _require_once(sums, "charge", "payment", _ours(made, "payment_id"))
    _require_once(sums, "refund", "refund", _ours(given, "refund_id"))
    _compare_charges(sums, made, {row["payment_id"]: (row["amount_minor"], row["currency"]) for row in charges})
    _compare_refunds(sums, given, {row["stripe_refund_id"]: (row["amount_minor"], row["currency"]) for row in refunds})
    _require_within_captured(sums, effects)


def _ours(effects: list[Row], name: str) -> Iterable[str]:
    """By our own id; what was made in the dashboard has none."""
    return (effect["metadata"][name] for effect in effects if (effect["metadata"] or {}).get(name))


def _require_once(sums: Sums, what: str, whose: str, ids: Iterable[str]) -> None:
    twice = {name: times for name, times in Counter(ids).items() if times > 1}
    sums.duplicated = max(sums.duplicated, sum(times - 1 for times in twice.values()))
    sums.findings += [f"the recorder has {times} {what}s of {whose} {name}" for name, times in twice.items()]


def _compare_charges(sums: Sums, made: list[Row], booked: dict[str, tuple[int, str]]) -> None:
    for effect in made:
        payment, money = effect["metadata"]["payment_id"], (effect["amount"], effect["currency"])
        if payment in booked and booked[payment] != money:
            _unexpected(sums, f"payment {payment}: the recorder has {money}, the book {booked[payment]}")
    for payment in sorted(booked.keys() - {effect["metadata"]["payment_id"] for effect in made}):
        _unexpected(sums, f"payment {payment} is charged in the book, and the recorder knows nothing of it")


def _compare_refunds(sums: Sums, given: list[Row], booked: dict[str, tuple[int, str]]) -> None:
    recorded = {effect["object_id"]: (effect["amount"], effect["currency"]) for effect in given}
    for refund in sorted(booked.keys() & recorded.keys()):
        if booked[refund] != recorded[refund]:
            _unexpected(sums, f"refund {refund}: the recorder has {recorded[refund]}, the book {booked[refund]}")
    for refund in sorted(booked.keys() - recorded.keys()):
        _unexpected(sums, f"refund {refund} is booked, and the recorder knows nothing of it")


def _require_within_captured(sums: Sums, effects: list[Row]) -> None:
    """M3, by the bank alone: what went back, less what came back again, is never more than was taken."""
    taken: Counter[str] = Counter()
    given: dict[str, int] = defaultdict(int)
    for effect in effects:
        if effect["kind"] == "charge":
            taken[effect["payment_intent"]] += effect["amount"]
        elif effect["kind"] in {"refund", "refund_failure"}:
            given[effect["payment_intent"]] += effect["amount"] * (1 if effect["kind"] == "refund" else -1)
    for intent in sorted(intent for intent, minor in given.items() if minor > taken[intent]):
        _unexpected(sums, f"{intent}: {given[intent]} went back of {taken[intent]} that were taken")


def _unexpected(sums: Sums, finding: str) -> None:
    sums.unexpected += 1
    sums.findings.append(finding)
