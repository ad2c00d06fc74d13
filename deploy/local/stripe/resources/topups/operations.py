"""What the operations of /v1/topups take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import Parameters, integer, metadata, text
from ..operation import DESCRIPTION_AND_METADATA, NOTHING, Operation, listing, without_effect
from . import api

CREATE_TOPUP = Parameters(
    {
        "amount": integer,
        "currency": text,
        "description": text,
        "metadata": metadata,
        "statement_descriptor": text,
        "transfer_group": text,
    },
    required=("amount", "currency"),
    without_effect=without_effect("payment_method payment_method_options source"),
)
OPERATIONS = (
    Operation("POST", "/v1/topups", CREATE_TOPUP, api.create, api.check),
    Operation("GET", "/v1/topups", listing(amount=integer, status=text), api.list_all),
    Operation("GET", "/v1/topups/*", NOTHING, api.retrieve),
    Operation("POST", "/v1/topups/*", DESCRIPTION_AND_METADATA, api.update),
    Operation("POST", "/v1/topups/*/cancel", NOTHING, api.cancel),
)
