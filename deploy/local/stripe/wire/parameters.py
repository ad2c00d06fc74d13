"""Typed parameters: each operation declares what it takes, and everything else is refused.

A declared name is read by a field, a function from (name, raw value) to the value. A name that Stripe knows but that
has no effect here is a 501, because ignoring it would be a lie; a name that Stripe does not know is
`parameter_unknown`. An empty string means "unset" and is allowed only where a field is `clearable`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import Json, StripeError, invalid, not_implemented

Field = Callable[[str, Any], Any]


def text_up_to(most: int) -> Field:
    """A text of at most this many characters, and not empty."""

    def read(name: str, raw: Any) -> str:
        return _text(name, raw, most)

    return read


def text(name: str, raw: Any) -> str:
    """At most 5,000 characters, and not empty."""
    return _text(name, raw, 5000)


def _text(name: str, raw: Any, most: int) -> str:
    if not isinstance(raw, str):
        raise invalid(f"Invalid string: {name}", param=name)
    if raw == "":
        message = f"You passed an empty string for '{name}', but '{name}' cannot be unset."
        raise invalid(message, code="parameter_invalid_empty", param=name)
    if len(raw) > most:
        raise invalid(f"Invalid string: {name} is longer than {most} characters", param=name)
    return raw


def integer(name: str, raw: Any) -> int:
    """Decimal digits, with a sign if need be."""
    value = text(name, raw)
    try:
        return int(value)
    except ValueError:
        raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name) from None


def number(name: str, raw: Any) -> float:
    """A decimal number."""
    try:
        return float(text(name, raw))
    except ValueError:
        raise invalid(f"Invalid number: {raw}", param=name) from None


def boolean(name: str, raw: Any) -> bool:
    """`true` or `false`."""
    value = text(name, raw)
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", param=name)
    return value == "true"


def one_of(*choices: str) -> Field:
    """One of these words."""

    def read(name: str, raw: Any) -> str:
        value = text(name, raw)
        if value not in choices:
            raise invalid(f"Invalid {name}: must be one of {', '.join(choices)}", param=name)
        return value

    return read


def either(first: Field, second: Field) -> Field:
    """What the first field can read, otherwise what the second can."""

    def read(name: str, raw: Any) -> Any:
        try:
            return first(name, raw)
        except StripeError:
            return second(name, raw)

    return read


def clearable(inner: Field) -> Field:
    """An empty string becomes None: the client asks to unset the field."""
    return lambda name, raw: None if raw == "" else inner(name, raw)


def list_of(inner: Field) -> Field:
    """`name[]=...` or `name[0]=...`, each read by the same field."""

    def read(name: str, raw: Any) -> list[Any]:
        if not isinstance(raw, dict):
            raise invalid(f"Invalid array: {name}", param=name)
        return [inner(f"{name}[{index}]", value) for index, value in raw.items()]

    return read


def nested(fields: Mapping[str, Field], without_effect: frozenset[str] = frozenset()) -> Field:
    """`name[key]=...`, each key read by its own field; other keys are refused as unknown or, if known, with 501."""

    def read(name: str, raw: Any) -> Json:
        if not isinstance(raw, dict):
            raise invalid(f"Invalid object: {name}", param=name)
        return {key: _read_one(fields, without_effect, f"{name}[{key}]", key, value) for key, value in raw.items()}

    return read


def metadata(name: str, raw: Any) -> dict[str, str]:
    """At most 50 keys of 40 characters, values of 500; an empty value removes its key, an empty hash all of them."""
    if raw == "":
        return {"": ""}
    if not isinstance(raw, dict):
        raise invalid(f"Invalid object: {name}", param=name)
    if len(raw) > 50:
        raise invalid("Metadata can have at most 50 keys.", param=name)
    for key, value in raw.items():
        if not isinstance(value, str) or len(key) > 40 or len(value) > 500:
            message = "Metadata keys have at most 40 characters, values are strings of at most 500."
            raise invalid(message, param=f"{name}[{key}]")
    return raw


def merge_metadata(current: dict[str, str], change: dict[str, str] | None) -> dict[str, str]:
    """The metadata after a change: keys are added, replaced, or removed by an empty value; None changes nothing.

    Raises:
        StripeError: 400 for more than 50 keys.
    """
    if change is None:
        return current
    if "" in change:
        return {}
    merged = {key: value for key, value in (current | change).items() if value != ""}
    if len(merged) > 50:
        raise invalid("Metadata can have at most 50 keys.", param="metadata")
    return merged


EXPAND: Mapping[str, Field] = {"expand": list_of(text)}
ADDRESS = {name: clearable(text) for name in ("city", "country", "line1", "line2", "postal_code", "state")}
SHIPPING = nested(
    {"name": text, "phone": clearable(text), "carrier": text, "tracking_number": text, "address": nested(ADDRESS)}
)
CREATED = either(integer, nested({"gt": integer, "gte": integer, "lt": integer, "lte": integer}))
PAGE: Mapping[str, Field] = {"limit": integer, "starting_after": text, "ending_before": text}


@dataclass(frozen=True)
class Parameters:
    """What one operation takes. `no_longer` maps a removed parameter to the code of its refusal."""

    fields: Mapping[str, Field] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    without_effect: frozenset[str] = frozenset()
    no_longer: Mapping[str, str] = field(default_factory=dict)

    def read(self, raw: Json) -> Json:
        """The typed values of the given names.

        Raises:
            StripeError: 400 for a name that is unknown, removed or missing, or a value of the wrong type; 501 for a
                name without effect here.
        """
        for name in raw.keys() & self.no_longer.keys():
            raise invalid(f"The parameter {name} is no longer supported.", code=self.no_longer[name], param=name)
        fields = self.fields
        values = {
            name: _read_one(fields if name in fields else EXPAND, self.without_effect, name, name, value)
            for name, value in raw.items()
        }
        for name in self.required:
            if name not in values:
                raise invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)
        return values


def _read_one(fields: Mapping[str, Field], without_effect: frozenset[str], name: str, key: str, raw: Any) -> Any:
    reader = fields.get(key)
    if reader is not None:
        return reader(name, raw)
    if key in without_effect:
        raise not_implemented(f"the parameter {name}", param=name)
    raise invalid(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
