"""The one flag that the book and the window to the bank share: is a transaction open here?

db/session.py raises it, stripe_client/gateway.py looks at it, and neither imports the other. It makes M6 (no outside
call inside a database transaction) a rule that fails loudly instead of a habit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_transaction_open: ContextVar[bool] = ContextVar("transaction_open", default=False)


class OutsideCallInTransactionError(RuntimeError):
    """A call left the process while a transaction was open: a lock would wait for somebody else's server."""


@contextmanager
def transaction_open() -> Iterator[None]:
    token = _transaction_open.set(True)
    try:
        yield
    finally:
        _transaction_open.reset(token)


def refuse_inside_transaction(what: str) -> None:
    """Raises OutsideCallInTransactionError when a transaction is open in this thread or task."""
    if _transaction_open.get():
        raise OutsideCallInTransactionError(f"{what} inside a database transaction")
