"""A payment's shares in words, for its timeline (outbox/ops/payments/timeline.py)."""

from collections.abc import Callable
from typing import Any

from outbox.ops.dead_letters import tables


def _share(to: str, of: dict[str, Any]) -> str:
    whose = f"share of {_whose(of)}"
    if of["from_state"]:
        return f"{whose} {of['from_state']} -> {to}" + (f"\n{of['reason']}" if of["reason"] else "")
    rule = f"{of['basis_points']} basis points" if of["basis_points"] is not None else "the rest"
    return f"{whose}: {_money(of)}, {rule}, {to}\nshare {of['share_id']}"


def _return(what: str, of: dict[str, Any]) -> str:
    return f"{_money(of)} of {_whose(of)} {what}\nby {of['source_id']}"


def _receivable(_: str, of: dict[str, Any]) -> str:
    return f"{_whose(of)} owes {_money(of)}: it could not be taken back\n{of['reason']}"


def _transfer(to: str, of: dict[str, Any]) -> str:
    move = f"{of['from_state']} -> {to}" if of["from_state"] else to
    kept = f", {tables.money(of['netted_minor'], of['currency'])} kept for what is owed" if of["netted_minor"] else ""
    whole = of["part_minor"] != of["amount_minor"] + of["netted_minor"]
    part = f"\nof it {tables.money(of['part_minor'], of['currency'])} are of this payment" if whole else ""
    why = f"\n{of['reason']}" if of["reason"] else ""
    name = of["stripe_transfer_id"] or of["transfer_id"]
    return f"transfer of {_money(of)} to {_whose(of)} {move}{kept}{part}{why}\n{name} to {of['account_id']}"


def _reversal(to: str, of: dict[str, Any]) -> str:
    move = f"{of['from_state']} -> {to}" if of["from_state"] else to
    why = f"\n{of['reason']}" if of["reason"] else ""
    name = of["stripe_reversal_id"] or of["reversal_id"]
    return f"taking {_money(of)} back from {_whose(of)} {move}{why}\n{name}"


def _whose(of: dict[str, Any]) -> str:
    return f"{of['party']} {of['name']}"


def _money(of: dict[str, Any]) -> str:
    return tables.money(of["amount_minor"], of["currency"])


SENTENCES_OF_SHARES: dict[str, Callable[[str, dict[str, Any]], str]] = {
    "share": _share,
    "return": _return,
    "receivable": _receivable,
    "transfer": _transfer,
    "reversal": _reversal,
}
