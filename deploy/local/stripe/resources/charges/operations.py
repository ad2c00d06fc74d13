"""What the operations of /v1/charges take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import SHIPPING, Parameters, clearable, metadata, nested, one_of, text
from ..operation import NOTHING, Operation, listing
from . import api

UPDATE_CHARGE = Parameters(
    {
        "customer": text,
        "description": clearable(text),
        "fraud_details": nested({"user_report": one_of("fraudulent", "safe")}),
        "metadata": metadata,
        "receipt_email": clearable(text),
        "shipping": clearable(SHIPPING),
        "transfer_group": text,
    }
)
CHARGE_LIST = listing(customer=text, payment_intent=text, transfer_group=text)
OPERATIONS = (
    Operation("GET", "/v1/charges", CHARGE_LIST, api.list_all),
    Operation("GET", "/v1/charges/*", NOTHING, api.retrieve),
    Operation("POST", "/v1/charges/*", UPDATE_CHARGE, api.update),
)
