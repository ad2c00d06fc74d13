"""What the operations of /v1/customers take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import ADDRESS, SHIPPING, Field, Parameters, clearable, list_of, metadata, nested, one_of, text
from ..operation import NOTHING, Operation, listing, without_effect
from . import api

CUSTOMER: dict[str, Field] = {
    "address": clearable(nested(ADDRESS)),
    "description": clearable(text),
    "email": clearable(text),
    "metadata": metadata,
    "name": clearable(text),
    "phone": clearable(text),
    "preferred_locales": list_of(text),
    "shipping": clearable(SHIPPING),
    "tax_exempt": one_of("none", "exempt", "reverse"),
}
CUSTOMER_EXTRAS = without_effect(
    "balance bank_account business_name card cash_balance default_alipay_account default_bank_account default_card"
    " default_source individual_name invoice_prefix invoice_settings next_invoice_sequence payment_method source tax"
    " tax_id_data test_clock"
)
OPERATIONS = (
    Operation("POST", "/v1/customers", Parameters(CUSTOMER, without_effect=CUSTOMER_EXTRAS), api.create),
    Operation("GET", "/v1/customers", listing("email test_clock"), api.list_all),
    Operation("GET", "/v1/customers/*", NOTHING, api.retrieve),
    Operation("POST", "/v1/customers/*", Parameters(CUSTOMER, without_effect=CUSTOMER_EXTRAS), api.update),
    Operation("DELETE", "/v1/customers/*", NOTHING, api.delete),
)
