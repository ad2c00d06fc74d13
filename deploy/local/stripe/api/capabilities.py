"""What the emulator does and does not do: the answer to GET /_emulator/capabilities."""

from .. import API_VERSION, VERSION
from ..faults import API_EFFECTS, WEBHOOK_EFFECTS
from ..resources.payment_methods.test_methods import TEST_METHODS
from ..settings import Settings
from ..wire.errors import Json
from .routes import OPERATIONS
from .unbuilt import UNBUILT

NOT_MODELLED = (
    "Every secret key sees one platform account and all of its connected accounts; nobody verifies an account.",
    "A connected account without card_payments may charge all the same; only transfers and on_behalf_of ask.",
    "on_behalf_of is shown and asks for card_payments; it changes no fee, country or descriptor.",
    "An application fee given back is an adjustment in the connected account; Stripe's type there is not published.",
    "Transfers from a charge that is still pending, between connected accounts, or back to the platform.",
    "Fees are one flat schedule, whatever the card, country or currency; there is no currency conversion.",
    "Minimum amounts are enforced only for the currencies whose minimum Stripe publishes as a number.",
    "Radar rules, network timing and the pages of 3DS; authentication is finished by the control API.",
    "A limit on confirm attempts and on updates of one intent, and the single use of an unattached PaymentMethod.",
    "Retrieving a pm_card_* name by itself: using or attaching it makes a PaymentMethod.",
    "The charge of a bank debit gets its balance transaction when it succeeds, not while it is pending.",
    "Card and e-mail block lists, which `reason=fraudulent` of a refund feeds at Stripe.",
    "Bank accounts: every payout goes to the same unnamed one, and only the control API makes it fail.",
    "Files as evidence of a dispute, networks' evidence programmes, prevented disputes, and sending an appeal by API.",
    "A partial capture books the captured amount alone; the released rest is in amount_refunded, without a refund.",
    "Signature timestamps and webhook retries follow the machine's clock, everything else the emulator's.",
    "Search serves metadata, status, currency and customer, exact matches joined by AND.",
    "What only this emulator's authors concluded (wording of messages, the type of a 409) may differ from Stripe's.",
)


def capabilities(settings: Settings) -> Json:
    """Operations, refused operations and parameters, test methods, faults, gaps, and the settings in force."""
    return {
        "emulator": True,
        "notice": "A local emulator, not Stripe: compared with public documents, never with Stripe itself.",
        "version": VERSION,
        "api_version": API_VERSION,
        "operations": [f"{operation.method} {operation.template}" for operation in OPERATIONS],
        "answered_501": [f"{method} {template}" for method, template in UNBUILT],
        "parameters_answered_501": {
            f"{operation.method} {operation.template}": sorted(operation.takes.without_effect)
            for operation in OPERATIONS
            if operation.takes.without_effect
        },
        "test_payment_methods": list(TEST_METHODS),
        "faults": API_EFFECTS | WEBHOOK_EFFECTS,
        "not_modelled": list(NOT_MODELLED),
        "settings": _shown(settings),
    }


def _shown(settings: Settings) -> Json:
    names = (
        "latency_ms", "async_capture_delay_ms", "search_lag_seconds", "bank_debit_seconds", "funds_delay_seconds",
        "authorization_seconds", "refund_seconds", "refunds_beyond_balance", "dispute_seconds",
        "dispute_response_seconds", "dispute_fee_minor", "payout_pending_seconds", "payout_seconds",
        "payout_reconciliation_seconds", "topup_seconds", "fee_basis_points", "fee_fixed_minor", "limit_per_second",
        "endpoint_limit_per_second", "webhook_delay_ms", "webhook_timeout_seconds", "webhook_retry_seconds",
        "webhook_concurrency",
    )  # fmt: skip
    return {name: getattr(settings, name) for name in names}
