"""What the operations of /v1/transfers/*/reversals take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import Parameters, boolean, integer, metadata
from ..operation import METADATA_ONLY, NOTHING, PAGES_ONLY, Operation, without_effect
from . import api

CREATE_REVERSAL = Parameters(
    {"amount": integer, "metadata": metadata, "refund_application_fee": boolean},
    without_effect=without_effect("description"),
)
OPERATIONS = (
    Operation("POST", "/v1/transfers/*/reversals", CREATE_REVERSAL, api.create, api.check),
    Operation("GET", "/v1/transfers/*/reversals", PAGES_ONLY, api.list_all),
    Operation("GET", "/v1/transfers/*/reversals/*", NOTHING, api.retrieve),
    Operation("POST", "/v1/transfers/*/reversals/*", METADATA_ONLY, api.update),
)
