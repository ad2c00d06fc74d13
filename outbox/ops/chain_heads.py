"""The head of a chain, as somebody noted it elsewhere: SEQ:HASH. Only that shows that a chain's tail was cut off."""

from outbox.ops.session import LeaveError


def seq(expected: str) -> int:
    """Leaves with 2 when the text is no head."""
    number, separator, digest = expected.partition(":")
    if not (separator and number.isdigit() and digest):
        raise LeaveError(2, f"{expected!r} is not SEQ:HASH, as an earlier verification printed it.")
    return int(number)


def is_in_chain(found: str | None, expected: str) -> bool:
    """`found` is the hash that the chain has at the expected place."""
    return found is not None and found == expected.partition(":")[2]
