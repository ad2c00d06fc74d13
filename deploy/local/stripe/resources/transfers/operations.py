"""What the operations of /v1/transfers take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import Parameters, integer, metadata, text
from ..operation import DESCRIPTION_AND_METADATA, NOTHING, Operation, listing, without_effect
from . import api

CREATE_TRANSFER = Parameters(
    {
        "amount": integer,
        "currency": text,
        "destination": text,
        "source_transaction": text,
        "transfer_group": text,
        "description": text,
        "metadata": metadata,
    },
    required=("amount", "currency", "destination"),
    without_effect=without_effect("source_type"),
)
TRANSFER_LIST = listing(destination=text, transfer_group=text)
OPERATIONS = (
    Operation("POST", "/v1/transfers", CREATE_TRANSFER, api.create, api.check),
    Operation("GET", "/v1/transfers", TRANSFER_LIST, api.list_all),
    Operation("GET", "/v1/transfers/*", NOTHING, api.retrieve),
    Operation("POST", "/v1/transfers/*", DESCRIPTION_AND_METADATA, api.update),
)
