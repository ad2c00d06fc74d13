"""`expand[]`: replace an id by its object, up to four levels deep, also inside a list by `data.x`."""

from collections.abc import Callable

from ..resources.balance.ledger import by_clock
from ..resources.disputes.api import shown
from ..resources.refunds.api import listed_in_charge
from ..wire.errors import Json, StripeError, invalid, not_implemented
from ..world import Call

_KIND_OF = {
    "application_fee": "application_fee",
    "balance_transaction": "balance_transaction",
    "charge": "charge",
    "customer": "customer",
    "destination_payment": "charge",
    "destination_payment_refund": "refund",
    "failure_balance_transaction": "balance_transaction",
    "fee": "application_fee",
    "latest_charge": "charge",
    "originating_transaction": "charge",
    "payment_intent": "payment_intent",
    "payment_method": "payment_method",
    "source_refund": "refund",
    "source_transaction": "charge",
    "source_transfer": "transfer",
    "source_transfer_reversal": "transfer_reversal",
    "transfer": "transfer",
    "transfer_reversal": "transfer_reversal",
}
_SOURCES = {
    "ch": "charge",
    "dp": "dispute",
    "fee": "application_fee",
    "fr": "fee_refund",
    "po": "payout",
    "py": "charge",
    "pyr": "refund",
    "re": "refund",
    "tr": "transfer",
    "trr": "transfer_reversal",
    "tu": "topup",
}
_ALWAYS_NULL = frozenset(
    (
        "application",
        "review",
    )
)
# Expandable by the specification although an object without it leaves it out.
_LEFT_OUT_WHEN_NULL = frozenset({("refund", "failure_balance_transaction"), ("charge", "transfer")})
_NOT_BUILT = frozenset(
    {
        ("application_fee", "application"),
        ("customer", "sources"),
        ("customer", "subscriptions"),
        ("customer", "tax_ids"),
        ("payout", "destination"),
    }
)
_EXPANDABLE = _KIND_OF.keys() | _ALWAYS_NULL | {"account", "destination", "on_behalf_of", "source"}
_LEVELS = 4


def expand(call: Call, answer: Json) -> Json:
    """Expand what the call asks for by `expand[]`, in place, and return the answer.

    Raises:
        StripeError: 400 for a property that cannot be expanded or a path of more than four levels, 501 for one that
            Stripe expands and the emulator does not.
    """
    for path in call.parameters.get("expand", ()):
        names = path.split(".")
        if len(names) > _LEVELS:
            raise invalid(
                f"You cannot expand more than {_LEVELS} levels of a property. Property: {path}", param="expand"
            )
        _expand(call, answer, names, path)
    return answer


def _expand(call: Call, holder: Json, names: list[str], path: str) -> None:
    name, *rest = names
    if name == "data" and holder.get("object") in ("list", "search_result") and rest:
        for item in holder["data"]:
            _expand(call, item, rest, path)
        return
    if name == "refunds" and holder.get("object") == "charge":
        holder[name] = listed_in_charge(call.world, holder["id"])
        if rest:
            _expand(call, holder[name], rest, path)
        return
    if isinstance(holder.get(name), dict) and holder[name].get("object") == "list" and rest:
        _expand(call, holder[name], rest, path)
        return
    if (holder.get("object"), name) in _NOT_BUILT:
        raise not_implemented(f"expanding {path}", "expand")
    if name not in holder and (holder.get("object"), name) in _LEFT_OUT_WHEN_NULL:
        return
    if name not in holder or name not in _EXPANDABLE:
        raise _not_expandable(path)
    value = holder[name]
    if isinstance(value, str):
        kind = _kind(name, value)
        record = call.world.store.find_anywhere(kind, value)
        assert record is not None, "an id inside an object names an object of this side or the other of a transfer"
        value = holder[name] = _RENDER.get(kind, _as_is)(call, record.body)
    if rest and isinstance(value, dict):
        _expand(call, value, rest, path)


def _kind(name: str, value: str) -> str:
    prefix = value.partition("_")[0]
    return "account" if prefix == "acct" else _SOURCES[prefix] if name == "source" else _KIND_OF[name]


def _as_is(call: Call, body: Json) -> Json:
    return body


_RENDER: dict[str, Callable[[Call, Json], Json]] = {
    "balance_transaction": lambda call, body: by_clock(call.world, body),
    "dispute": lambda call, body: shown(call.world, body),
}


def _not_expandable(path: str) -> StripeError:
    return invalid(f"This property cannot be expanded ({path}).", param="expand")
