"""What the operations of /v1/events take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import boolean, list_of, text
from ..operation import NOTHING, Operation, listing
from . import api

OPERATIONS = (
    Operation(
        "GET",
        "/v1/events",
        listing(type=text, types=list_of(text), delivery_success=boolean),
        api.list_all,
    ),
    Operation("GET", "/v1/events/*", NOTHING, api.retrieve),
)
