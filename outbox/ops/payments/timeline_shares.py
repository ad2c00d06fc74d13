"""A payment's shares as text, for its timeline (outbox/ops/payments/timeline.py)."""

from collections.abc import Callable
from typing import Any

from outbox.ops import output


def _share(to: str, details: dict[str, Any]) -> str:
    whose = f"share of {_whose(details)}"
    if details["from_state"]:
        return f"{whose} {details['from_state']} -> {to}" + (f"\n{details['reason']}" if details["reason"] else "")
    rule = f"{details['basis_points']} basis points" if details["basis_points"] is not None else "the remainder"
    return f"{whose}: {_money(details)}, {rule}, {to}\nshare {details['share_id']}"


def _return(what: str, details: dict[str, Any]) -> str:
    return f"{_money(details)} of {_whose(details)} {what}\nby {details['source_id']}"


def _receivable(_: str, details: dict[str, Any]) -> str:
    return f"{_whose(details)} owes {_money(details)}: the clawback was not covered\n{details['reason']}"


def _transfer(to: str, details: dict[str, Any]) -> str:
    move = f"{details['from_state']} -> {to}" if details["from_state"] else to
    kept = (
        f", {output.money(details['netted_minor'], details['currency'])} netted against receivables"
        if details["netted_minor"]
        else ""
    )
    whole = details["part_minor"] != details["amount_minor"] + details["netted_minor"]
    part = f"\nof it {output.money(details['part_minor'], details['currency'])} belong to this payment" if whole else ""
    why = f"\n{details['reason']}" if details["reason"] else ""
    name = details["stripe_transfer_id"] or details["transfer_id"]
    return (
        f"transfer of {_money(details)} to {_whose(details)} {move}{kept}{part}{why}\n{name} to {details['account_id']}"
    )


def _reversal(to: str, details: dict[str, Any]) -> str:
    move = f"{details['from_state']} -> {to}" if details["from_state"] else to
    why = f"\n{details['reason']}" if details["reason"] else ""
    name = details["stripe_reversal_id"] or details["reversal_id"]
    return f"reversal of {_money(details)} from {_whose(details)} {move}{why}\n{name}"


def _whose(details: dict[str, Any]) -> str:
    return f"{details['party']} {details['name']}"


def _money(details: dict[str, Any]) -> str:
    return output.money(details["amount_minor"], details["currency"])


SENTENCES_OF_SHARES: dict[str, Callable[[str, dict[str, Any]], str]] = {
    "share": _share,
    "return": _return,
    "receivable": _receivable,
    "transfer": _transfer,
    "reversal": _reversal,
}
