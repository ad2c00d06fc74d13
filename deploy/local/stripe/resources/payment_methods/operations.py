"""What the operations of /v1/customers/*/payment_methods take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import ADDRESS, PAGE, Parameters, clearable, metadata, nested, text
from ..operation import NOTHING, Operation, without_effect
from . import api

BILLING = nested(
    {"name": clearable(text), "email": clearable(text), "phone": clearable(text), "address": nested(ADDRESS)}
)
METHOD_EXTRAS = without_effect(
    "bacs_debit customer customer_balance ideal link payment_method radar_options sepa_debit us_bank_account payto"
)
METHOD_LIST = Parameters(
    dict(PAGE) | {"customer": text, "type": text}, without_effect=without_effect("allow_redisplay customer_account")
)
OPERATIONS = (
    Operation("GET", "/v1/customers/*/payment_methods", METHOD_LIST, api.list_of_customer),
    Operation(
        "POST",
        "/v1/payment_methods",
        Parameters(
            {"type": text, "card": nested({"token": text}), "billing_details": BILLING, "metadata": metadata},
            required=("type",),
            without_effect=METHOD_EXTRAS | {"allow_redisplay"},
        ),
        api.create,
    ),
    Operation("GET", "/v1/payment_methods", METHOD_LIST, api.list_all),
    Operation("GET", "/v1/payment_methods/*", NOTHING, api.retrieve),
    Operation(
        "POST",
        "/v1/payment_methods/*",
        Parameters(
            {"billing_details": BILLING, "metadata": metadata},
            without_effect=METHOD_EXTRAS | {"allow_redisplay", "card"},
        ),
        api.update,
    ),
    Operation(
        "POST",
        "/v1/payment_methods/*/attach",
        Parameters({"customer": text}, required=("customer",), without_effect=without_effect("customer_account")),
        api.attach,
    ),
    Operation("POST", "/v1/payment_methods/*/detach", NOTHING, api.detach),
)
