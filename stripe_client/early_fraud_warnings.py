"""Early fraud warnings: read one. Source: docs.stripe.com/api/radar/early_fraud_warnings."""

from datetime import UTC, datetime
from urllib.parse import quote

from stripe_client.gateway import Gateway
from stripe_client.outcomes import WarningAnswer
from stripe_client.requests import body_of, read

_FAMILY = "early_fraud_warnings"
_PATH = "/v1/radar/early_fraud_warnings"


def retrieve(gateway: Gateway, warning_id: str) -> WarningAnswer:
    """How a warning stands now.

    Raises:
        Verdict: Stripe did not answer, or there is no such warning in this account and mode.
    """
    warning = body_of(read(gateway, _FAMILY, f"{_PATH}/{quote(warning_id, safe='')}", {}))
    return WarningAnswer(
        warning_id=warning["id"],
        charge_id=warning["charge"],
        fraud_type=warning["fraud_type"],
        actionable=warning["actionable"],
        warned_at=datetime.fromtimestamp(warning["created"], UTC),
    )
