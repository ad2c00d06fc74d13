"""AMQP field values as other clients write them, encoded by hand: pika cannot write most of what it may have to read.

AMQP 0-9-1, 4.2.5.5, with the letters that RabbitMQ uses (https://www.rabbitmq.com/amqp-0-9-1-errata#section_3).
"""

import struct
from collections.abc import Mapping

import pika

_HEADERS, _DELIVERY_MODE, _MESSAGE_ID = 1 << 13, 1 << 12, 1 << 7


def number(letter: str, form: str, value: float) -> bytes:
    return letter.encode() + struct.pack(f">{form}", value)


def long_text(value: bytes, letter: str = "S") -> bytes:
    return letter.encode() + struct.pack(">I", len(value)) + value


def short_text(value: bytes) -> bytes:
    return struct.pack("B", len(value)) + value


def table(fields: Mapping[bytes, bytes]) -> bytes:
    content = b"".join(short_text(name) + value for name, value in fields.items())
    return struct.pack(">I", len(content)) + content


def nested(fields: Mapping[bytes, bytes]) -> bytes:
    return b"F" + table(fields)


def array(*values: bytes) -> bytes:
    return long_text(b"".join(values), "A")


def deep(levels: int) -> bytes:
    """An array in an array in an array ..."""
    value = b"V"
    for _ in range(levels):
        value = array(value)
    return value


def deep_table(levels: int) -> bytes:
    value = b"V"
    for _ in range(levels):
        value = nested({b"n": value})
    return value


VALUES: dict[str, bytes] = {
    "true": number("t", "B", 1),
    "a boolean of 255": number("t", "B", 255),
    "smallest signed 8": number("b", "b", -(2**7)),
    "largest unsigned 8": number("B", "B", 2**8 - 1),
    "smallest signed 16": number("s", "h", -(2**15)),
    "largest unsigned 16": number("u", "H", 2**16 - 1),
    "smallest signed 32": number("I", "i", -(2**31)),
    "largest unsigned 32": number("i", "I", 2**32 - 1),
    "smallest signed 64": number("l", "q", -(2**63)),
    "largest signed 64": number("l", "q", 2**63 - 1),
    "largest float": number("f", "f", 3.4028234e38),
    "largest double": number("d", "d", 1.7976931348623157e308),
    "decimal of 255 places": b"D" + struct.pack(">BI", 255, 2**32 - 1),
    "text": long_text("Grüße".encode()),
    "text that is no UTF-8": long_text(b"\xff\xfe"),
    "text with NUL": long_text(b"a\x00b"),
    "text of 60,000": long_text(b"x" * 60_000),
    "bytes": long_text(b"\x00\xff" * 10, "x"),
    "nothing": b"V",
    "timestamp zero": number("T", "Q", 0),
    "timestamp in milliseconds": number("T", "Q", 1_764_547_200_000),
    "timestamp in nanoseconds": number("T", "Q", 1_764_547_200_000_000_000),
    "largest timestamp": number("T", "Q", 2**64 - 1),
    "empty array": array(),
    "empty table": nested({}),
    "timestamp in milliseconds in an array": array(number("T", "Q", 1_764_547_200_000), b"V"),
    "timestamp in milliseconds in a table": nested({b"at": number("T", "Q", 1_764_547_200_000), b"n": b"V"}),
    "a field whose name is no UTF-8": nested({b"\xff": b"V"}),
    "an array of 50 levels": deep(50),
    "an array of 5,000 levels": deep(5_000),
    "a table of 400 levels": deep_table(400),
}
# RabbitMQ closes the connection of whoever publishes these, so that no consumer of ours ever reads one.
REFUSED_BY_THE_BROKER: dict[str, bytes] = {
    "float that is no number": number("f", "f", float("nan")),
    "endless double": number("d", "d", float("inf")),
    "a letter that means nothing": b"Z123",
    "a length that is too short": b"A" + struct.pack(">I", 3) + number("I", "i", 1),
    "a length that is too long": b"F" + struct.pack(">I", 100),
}


class RawProperties(pika.BasicProperties):
    """Properties whose headers are bytes of one's own."""

    def __init__(self, headers: Mapping[bytes, bytes], message_id: bytes = b"transport-id") -> None:
        super().__init__()
        self._raw = (
            struct.pack(">H", _HEADERS | _DELIVERY_MODE | _MESSAGE_ID)
            + table(headers)
            + struct.pack("B", 2)
            + short_text(message_id)
        )

    def encode(self) -> list[bytes]:
        return [self._raw]
