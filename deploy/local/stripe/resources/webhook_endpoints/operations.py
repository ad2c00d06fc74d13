"""What the operations of /v1/webhook_endpoints take, and who answers them.

What Stripe takes there and this emulator does not act on (`without_effect`) is answered with 501.
"""

from ...wire.parameters import PAGE, Field, Parameters, boolean, clearable, list_of, metadata, text
from ..operation import NOTHING, Operation
from . import api

ENDPOINT: dict[str, Field] = {
    "url": text,
    "enabled_events": list_of(text),
    "description": clearable(text),
    "metadata": metadata,
}
CREATE_ENDPOINT = Parameters(ENDPOINT | {"api_version": text, "connect": boolean}, required=("url", "enabled_events"))
OPERATIONS = (
    Operation("POST", "/v1/webhook_endpoints", CREATE_ENDPOINT, api.create),
    Operation("GET", "/v1/webhook_endpoints", Parameters(dict(PAGE)), api.list_all),
    Operation("GET", "/v1/webhook_endpoints/*", NOTHING, api.retrieve),
    Operation("POST", "/v1/webhook_endpoints/*", Parameters(ENDPOINT | {"disabled": boolean}), api.update),
    Operation("DELETE", "/v1/webhook_endpoints/*", NOTHING, api.delete),
)
