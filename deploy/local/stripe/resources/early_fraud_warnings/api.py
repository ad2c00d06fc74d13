"""Early fraud warnings as the API shows them: only looked at. Source: /v1/radar/early_fraud_warnings."""

from ...wire.errors import Json, missing_object
from ...world import Call
from ..charges.api import wanted_of_charge
from ..lists import list_objects


def retrieve(call: Call) -> Json:
    warning = call.world.store.find(call.account, "early_fraud_warning", call.path_ids[0])
    if warning is None:
        raise missing_object("early fraud warning", call.path_ids[0])
    return warning.body


def list_all(call: Call) -> Json:
    return list_objects(call, "early_fraud_warning", wanted_of_charge(call))
