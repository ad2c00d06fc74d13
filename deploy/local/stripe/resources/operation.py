"""What the tables of operations are made of, and the parameters that many operations have in common."""

from collections.abc import Callable
from dataclasses import dataclass

from ..wire.errors import Json
from ..wire.parameters import CREATED, PAGE, Field, Parameters, clearable, metadata, text
from ..world import Call


@dataclass(frozen=True)
class Operation:
    """One operation of the API: `POST /v1/refunds/*/cancel`, where each `*` is an id of `Call.path_ids`.

    `check` validates what needs no object, before the idempotency key is looked at; `answer` executes, inside one
    transaction unless it is a GET, and returns the object to show. Both raise StripeError to refuse.
    """

    method: str
    template: str
    takes: Parameters
    answer: Callable[[Call], Json]
    check: Callable[[Json], None] | None = None


def without_effect(names: str) -> frozenset[str]:
    """Parameters, separated by spaces, that Stripe takes and that have no effect here: they are answered with 501."""
    return frozenset(names.split())


NOTHING = Parameters()
METADATA_ONLY = Parameters({"metadata": metadata})
DESCRIPTION_AND_METADATA = Parameters({"description": clearable(text), "metadata": metadata})
PAGES_ONLY = Parameters(dict(PAGE))


def listing(known: str = "", **filters: Field) -> Parameters:
    """Parameters of a list: page, `created` and `filters`; `known` are those of Stripe's that are answered with 501."""
    return Parameters(dict(PAGE) | {"created": CREATED} | filters, without_effect=without_effect(known))
