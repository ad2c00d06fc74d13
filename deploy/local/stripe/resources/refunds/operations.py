"""What the operations of /v1/refunds take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import Parameters, boolean, integer, metadata, one_of, text
from ..operation import METADATA_ONLY, NOTHING, Operation, listing, without_effect
from . import api

CREATE_REFUND = Parameters(
    {
        "amount": integer,
        "charge": text,
        "payment_intent": text,
        "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
        "metadata": metadata,
        "refund_application_fee": boolean,
        "reverse_transfer": boolean,
    },
    without_effect=without_effect("currency customer instructions_email origin"),
)
OPERATIONS = (
    Operation("POST", "/v1/refunds", CREATE_REFUND, api.create, api.check),
    Operation("GET", "/v1/refunds", listing(charge=text, payment_intent=text), api.list_all),
    Operation("GET", "/v1/refunds/*", NOTHING, api.retrieve),
    Operation("POST", "/v1/refunds/*", METADATA_ONLY, api.update),
    Operation("POST", "/v1/refunds/*/cancel", NOTHING, api.cancel),
)
