"""What the operations of /v1/disputes take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import Parameters, boolean, clearable, metadata, nested, text, text_up_to
from ..operation import NOTHING, Operation, listing, without_effect
from . import api

_WORDS = (
    "access_activity_log billing_address cancellation_policy_disclosure cancellation_rebuttal customer_email_address"
    " customer_name customer_purchase_ip duplicate_charge_explanation duplicate_charge_id product_description"
    " refund_policy_disclosure refund_refusal_explanation service_date shipping_address shipping_carrier shipping_date"
    " shipping_tracking_number uncategorized_text"
)
# Ids of uploaded files, and the networks' own programmes: there is no upload here.
_FILES = without_effect(
    "appeal cancellation_policy customer_communication customer_signature duplicate_charge_documentation"
    " enhanced_evidence receipt refund_policy service_documentation shipping_documentation uncategorized_file"
)
UPDATE_DISPUTE = Parameters(
    {
        "evidence": nested({name: clearable(text_up_to(20_000)) for name in _WORDS.split()}, _FILES),
        "metadata": metadata,
        "submit": boolean,
    },
    without_effect=without_effect("intended_submission_method"),
)
OPERATIONS = (
    Operation("GET", "/v1/disputes", listing(charge=text, payment_intent=text), api.list_all),
    Operation("GET", "/v1/disputes/*", NOTHING, api.retrieve),
    Operation("POST", "/v1/disputes/*", UPDATE_DISPUTE, api.update, api.check),
    Operation("POST", "/v1/disputes/*/close", NOTHING, api.close),
)
