"""Header values that pika cannot decode are read as a placeholder text instead of an exception.

pika raises while it reads the frame, before anybody sees the message (https://github.com/pika/pika/issues/1698): the
connection breaks, and the broker delivers the same message again to break the next one. Nothing of ours depends on such
a value, so the message is handled as if it were not there. Affected are timestamps after the year 9999 (milliseconds
taken for seconds), floats that are no finite number, and nesting deeper than Python's stack. Malformed tables are
refused by RabbitMQ itself.
"""

import struct
from collections.abc import Callable
from typing import Any

import pika.data

_UNDECODABLE = (ValueError, OverflowError, OSError, RecursionError)  # struct.error is none of them: a malformed frame
_FIXED = {b"T": "timestamp", b"f": "float", b"d": "double"}
_BYTES = {b"T": 8, b"f": 4, b"d": 8}
_WITH_LENGTH = {b"A": "array", b"F": "table"}

_decode_by_pika: Callable[[bytes, int], tuple[Any, int]] = pika.data.decode_value


def decode_value(encoded: bytes, offset: int) -> tuple[Any, int]:
    """A field's value, or a placeholder that names its type and bytes; and where the next field begins."""
    try:
        return _decode_by_pika(encoded, offset)
    except _UNDECODABLE:
        letter, begin = encoded[offset : offset + 1], offset + 1
        if letter in _FIXED:
            end = begin + _BYTES[letter]
            return f"undecodable {_FIXED[letter]} 0x{encoded[begin:end].hex()}", end
        if letter in _WITH_LENGTH:
            (length,) = struct.unpack_from(">I", encoded, begin)
            return f"undecodable {_WITH_LENGTH[letter]} of {length} bytes", begin + 4 + length
        raise


def install() -> None:
    """From now on pika decodes with `decode_value`, nested values included: it looks the function up by its name."""
    pika.data.decode_value = decode_value
