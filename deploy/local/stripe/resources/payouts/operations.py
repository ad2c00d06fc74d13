"""What the operations of /v1/payouts take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import Parameters, integer, metadata, text
from ..operation import METADATA_ONLY, NOTHING, Operation, listing, without_effect
from . import api

CREATE_PAYOUT = Parameters(
    {
        "amount": integer,
        "currency": text,
        "description": text,
        "metadata": metadata,
        "statement_descriptor": text,
    },
    required=("amount", "currency"),
    without_effect=without_effect("destination method payout_method source_type"),
)
OPERATIONS = (
    Operation("POST", "/v1/payouts", CREATE_PAYOUT, api.create, api.check),
    Operation("GET", "/v1/payouts", listing("arrival_date destination", status=text), api.list_all),
    Operation("GET", "/v1/payouts/*", NOTHING, api.retrieve),
    Operation("POST", "/v1/payouts/*", METADATA_ONLY, api.update),
    Operation("POST", "/v1/payouts/*/cancel", NOTHING, api.cancel),
)
