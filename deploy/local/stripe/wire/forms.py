"""Stripe's form encoding: a[b]=1, a[]=1, a[0]=1 become nested dictionaries; lists keep their index as a key.

Values stay strings: which of them is a number or a boolean is decided by `parameters.py`, not guessed here.
"""

from urllib.parse import parse_qsl

from .errors import Json, invalid


def decode(encoded: bytes) -> Json:
    """Nested dictionaries of strings.

    Raises:
        StripeError: 400 if it is no form, has over 1,000 fields, or gives a name both as a value and as a hash.
    """
    try:
        pairs = parse_qsl(encoded.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise invalid("The request body is not a form.") from error
    decoded: Json = {}
    for name, value in pairs:
        if "[" in name:
            _place(decoded, name, value)
        else:
            decoded[name] = value
    return decoded


def _place(decoded: Json, name: str, value: str) -> None:
    *outer, last = name.replace("]", "").split("[")
    container = decoded
    for key in outer:
        inner = container.setdefault(key or str(len(container)), {})
        if not isinstance(inner, dict):
            raise invalid(f"Parameter {name} is given both as a value and as a hash.", param=name)
        container = inner
    container[last or str(len(container))] = value
