"""What each operation takes, and what Stripe takes there that has no effect here (answered with 501).

Compared with Stripe's published description by `tests/emulator/test_conformance.py`: a parameter is in one of the two.
"""

from ..wire.parameters import (
    ADDRESS,
    CREATED,
    PAGE,
    SHIPPING,
    Field,
    Parameters,
    boolean,
    clearable,
    either,
    integer,
    list_of,
    metadata,
    nested,
    one_of,
    text,
    text_up_to,
)

NO_LONGER = {"payment_method_types": "payment_method_types_no_longer_supported"}
CAPTURE_METHOD = one_of("automatic", "automatic_async", "manual")
INTENT_LABELS: dict[str, Field] = {
    "description": clearable(text),
    "receipt_email": clearable(text),
    "setup_future_usage": clearable(one_of("off_session", "on_session")),
    "shipping": clearable(SHIPPING),
    "statement_descriptor": clearable(text),
    "statement_descriptor_suffix": clearable(text),
    "transfer_group": text,
    "metadata": metadata,
}
CONFIRMING: dict[str, Field] = {
    "payment_method": text,
    "return_url": text,
    "off_session": either(boolean, one_of("one_off", "recurring")),
    "error_on_requires_action": boolean,
    "use_stripe_sdk": boolean,
    "capture_method": CAPTURE_METHOD,
}
CONFIRM_LABELS = {name: INTENT_LABELS[name] for name in ("receipt_email", "setup_future_usage", "shipping")}
BILLING = nested(
    {"name": clearable(text), "email": clearable(text), "phone": clearable(text), "address": nested(ADDRESS)}
)
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


def without_effect(names: str) -> frozenset[str]:
    return frozenset(names.split())


INTENT_EXTRAS = (
    "amount_details confirmation_token customer_account hooks mandate mandate_data payment_details"
    " payment_method_configuration payment_method_data payment_method_options radar_options"
)
CUSTOMER_EXTRAS = without_effect(
    "balance bank_account business_name card cash_balance default_alipay_account default_bank_account default_card"
    " default_source individual_name invoice_prefix invoice_settings next_invoice_sequence payment_method source tax"
    " tax_id_data test_clock"
)
METHOD_EXTRAS = without_effect(
    "bacs_debit customer customer_balance ideal link payment_method radar_options sepa_debit us_bank_account payto"
)

_TRANSFER: dict[str, Field] = {
    "amount": integer,
    "description": text,
    "metadata": metadata,
    "payment_data": nested({"description": text, "metadata": metadata}),
}
CREATE_INTENT = Parameters(
    INTENT_LABELS
    | CONFIRMING
    | {
        "amount": integer,
        "currency": text,
        "customer": text,
        "confirm": boolean,
        "confirmation_method": one_of("automatic", "manual"),
        "automatic_payment_methods": nested({"enabled": boolean, "allow_redirects": one_of("always", "never")}),
        "allowed_payment_method_types": list_of(text),
        "excluded_payment_method_types": list_of(text),
        "application_fee_amount": integer,
        "on_behalf_of": text,
        "transfer_data": nested(_TRANSFER | {"destination": text}),
    },
    required=("amount", "currency"),
    without_effect=without_effect(INTENT_EXTRAS),
    no_longer=NO_LONGER,
)
UPDATE_INTENT = Parameters(
    INTENT_LABELS
    | {
        "amount": integer,
        "currency": text,
        "customer": text,
        "payment_method": text,
        "capture_method": CAPTURE_METHOD,
        "application_fee_amount": clearable(integer),
        "transfer_data": nested(_TRANSFER),
    },
    without_effect=without_effect(f"{INTENT_EXTRAS} allowed_payment_method_types excluded_payment_method_types"),
    no_longer=NO_LONGER,
)
CONFIRM_INTENT = Parameters(
    CONFIRMING | CONFIRM_LABELS,
    without_effect=without_effect(
        f"{INTENT_EXTRAS} allowed_payment_method_types excluded_payment_method_types amount_to_confirm client_secret"
    ),
    no_longer=NO_LONGER,
)
CAPTURE_INTENT = Parameters(
    {
        "amount_to_capture": integer,
        "final_capture": boolean,
        "metadata": metadata,
        "statement_descriptor": text,
        "statement_descriptor_suffix": text,
        "application_fee_amount": integer,
        "transfer_data": nested({"amount": integer}),
    },
    without_effect=without_effect("amount_details hooks payment_details"),
)
CANCEL_INTENT = Parameters(
    {"cancellation_reason": one_of("duplicate", "fraudulent", "requested_by_customer", "abandoned")}
)
UPDATE_CHARGE = Parameters(
    {name: INTENT_LABELS[name] for name in ("description", "receipt_email", "shipping", "transfer_group", "metadata")}
    | {"customer": text, "fraud_details": nested({"user_report": one_of("fraudulent", "safe")})}
)
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
LABELS_ONLY = Parameters({"metadata": metadata})
WINDOW = Parameters(dict(PAGE) | {"created": CREATED})
NOTHING = Parameters()


def listing(known: str = "", **filters: Field) -> Parameters:
    return Parameters(dict(WINDOW.fields) | filters, without_effect=without_effect(known))


CHARGE_LIST = listing(customer=text, payment_intent=text, transfer_group=text)
TRANSACTION_LIST = listing(source=text, type=text, currency=text, payout=text)
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
METHOD_LIST = Parameters(
    dict(PAGE) | {"customer": text, "type": text}, without_effect=without_effect("allow_redisplay customer_account")
)
ENDPOINT: dict[str, Field] = {
    "url": text,
    "enabled_events": list_of(text),
    "description": clearable(text),
    "metadata": metadata,
}
CREATE_ENDPOINT = Parameters(ENDPOINT | {"api_version": text, "connect": boolean}, required=("url", "enabled_events"))
