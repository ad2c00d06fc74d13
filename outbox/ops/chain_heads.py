"""The head of a hash chain as an operator noted it elsewhere: SEQ:HASH.

A chain whose newest entries were cut off is still intact; only a head that was noted outside shows what is missing.
"""

from outbox.ops.session import LeaveError


def seq(expected: str) -> int:
    """The sequence number of a noted head.

    Raises:
        LeaveError: the text is not SEQ:HASH (exit code 2).
    """
    number, separator, digest = expected.partition(":")
    if not (separator and number.isdigit() and digest):
        raise LeaveError(2, f"{expected!r} is not SEQ:HASH, as an earlier verification printed it.")
    return int(number)


def is_in_chain(found: str | None, expected: str) -> bool:
    """True when `found`, the hash at the noted place, is the noted hash; None means that the chain is shorter."""
    return found is not None and found == expected.partition(":")[2]
