"""What the operations of /v1/balance take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import text
from ..operation import NOTHING, Operation, listing
from . import api

TRANSACTION_LIST = listing(source=text, type=text, currency=text, payout=text)
OPERATIONS = (
    Operation("GET", "/v1/balance", NOTHING, api.retrieve),
    Operation("GET", "/v1/balance_transactions", TRANSACTION_LIST, api.list_transactions),
    Operation("GET", "/v1/balance_transactions/*", NOTHING, api.retrieve_transaction),
)
