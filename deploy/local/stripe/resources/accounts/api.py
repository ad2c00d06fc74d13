"""Connected accounts and their capabilities as the API shows them.

Source: the specification of /v1/accounts. Only the platform makes accounts; an account sees itself and nobody else.
"""

from ... import PLATFORM
from ...state.store import Record
from ...wire.errors import Json, missing_object, not_implemented
from ...wire.parameters import merge_metadata
from ...world import Call
from ..balance.amounts import check_currency
from ..lists import list_objects
from . import lifecycle
from .body import CAPABILITIES, capability, described

_REPLACED = ("business_type", "default_currency", "email")
_MERGED = ("business_profile", "tos_acceptance")


def check(given: Json) -> None:
    """Validation that needs no object: it runs before the idempotency key is looked at."""
    if "default_currency" in given:
        given["default_currency"] = check_currency(given["default_currency"])


def create(call: Call) -> Json:
    if call.in_connected_account:
        raise not_implemented("an account that is made by a connected account")
    return lifecycle.make(call.world, call.parameters, call.origin).body


def retrieve_own(call: Call) -> Json:
    if call.in_connected_account:
        return _found(call, call.account).body
    return _platform()


def _platform() -> Json:
    about = {"email": "platform@emulator.invalid", "country": "US"}
    return described(PLATFORM, 1_500_000_000, about) | {
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "type": "standard",
    }


def retrieve(call: Call) -> Json:
    if call.path_ids[0] == PLATFORM and not call.in_connected_account:
        return _platform()
    return _find(call).body


def list_all(call: Call) -> Json:
    return list_objects(call, "account", {})


def update(call: Call) -> Json:
    account, given = _find(call), call.parameters
    changes: Json = {name: given[name] for name in _REPLACED if name in given}
    changes |= {name: account.body[name] | given[name] for name in _MERGED if name in given}
    if "metadata" in given:
        changes["metadata"] = merge_metadata(account.body["metadata"], given["metadata"])
    if changes:
        lifecycle.update(call.world, account, changes, call.origin)
    for name, capability_request in given.get("capabilities", {}).items():
        _request(call, account, name, capability_request.get("requested", True))
    return account.body


def _request(call: Call, account: Record, name: str, requested: bool) -> None:
    if requested:
        lifecycle.request_capability(call.world, account, name, call.origin)
    else:
        lifecycle.change_capability(call.world, account, name, None, call.origin)


def list_capabilities(call: Call) -> Json:
    account = _find(call)
    data = [capability(account, name) for name in account.body["capabilities"]]
    return {"object": "list", "data": data, "has_more": False, "url": call.path}


def retrieve_capability(call: Call) -> Json:
    return capability(_find(call), _capability_name(call))


def update_capability(call: Call) -> Json:
    account, name = _find(call), _capability_name(call)
    if "requested" in call.parameters:
        _request(call, account, name, call.parameters["requested"])
    return capability(account, name)


def _capability_name(call: Call) -> str:
    name = call.path_ids[1]
    if name not in CAPABILITIES:
        raise missing_object("capability", name)
    return name


def _find(call: Call) -> Record:
    if call.in_connected_account and call.path_ids[0] != call.account:
        raise lifecycle.no_access(call.path_ids[0])
    return _found(call, call.path_ids[0])


def _found(call: Call, account_id: str) -> Record:
    account = lifecycle.find(call.world, account_id)
    if account is None:
        raise lifecycle.no_access(account_id)
    return account
