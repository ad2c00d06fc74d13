"""What a handler is given, found out from its own signature when its module is imported: (message, db) or, if it asks
Stripe, (message, db, gateway). What takes no gateway cannot call Stripe, and its first line says so.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from db.session import Database
from stripe_client.gateway import Gateway

R = TypeVar("R")


def takes_gateway(handler: Callable[..., object]) -> bool:
    """Whether the handler takes a third argument.

    Raises:
        AssertionError: it takes neither two nor three, and nobody could call it.
    """
    count = len(inspect.signature(handler).parameters)
    assert count in {2, 3}, f"{handler} takes a message, the database and, if it asks Stripe, the gateway"
    return count == 3


def with_gateway(handler: Callable[..., R]) -> Callable[[Any, Database, Gateway], R]:
    """The handler as a function of all three, whatever it takes."""
    if takes_gateway(handler):
        return handler

    def without(message: Any, db: Database, _stripe: Gateway) -> R:
        return handler(message, db)

    return without
