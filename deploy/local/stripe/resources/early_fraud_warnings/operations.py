"""What the operations of /v1/radar/early_fraud_warnings take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import text
from ..operation import NOTHING, Operation, listing
from . import api

OPERATIONS = (
    Operation(
        "GET",
        "/v1/radar/early_fraud_warnings",
        listing(charge=text, payment_intent=text),
        api.list_all,
    ),
    Operation("GET", "/v1/radar/early_fraud_warnings/*", NOTHING, api.retrieve),
)
