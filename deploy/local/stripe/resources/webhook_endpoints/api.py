"""Webhook endpoints by API; the secret is shown in the answer to create and never again."""

from ... import API_VERSION, PLATFORM
from ...state.store import Record
from ...wire.errors import Json, invalid, missing_object, not_implemented
from ...wire.parameters import merge_metadata
from ...world import Call, World
from ..lists import list_objects

_LIMIT = 16


def create(call: Call) -> Json:
    """The answer is the only one that shows the secret. At most 16 endpoints an account."""
    given = call.parameters
    if given.get("api_version", API_VERSION) != API_VERSION:
        raise not_implemented(f"rendering events in version {given['api_version']}", "api_version")
    if sum(endpoint.account == call.account for endpoint in call.world.outbox.endpoints.values()) >= _LIMIT:
        raise invalid(f"You have reached the maximum of {_LIMIT} test webhook endpoints.")
    _check_url(given["url"])
    secret = call.world.identifiers.new("whsec", 32)
    body = _new(call.world, given)
    call.world.insert(
        call.account, "webhook_endpoint", body, {"secrets": [secret], "connect": given.get("connect", False)}
    )
    call.world.outbox.load_endpoints()
    return body | {"secret": secret}


def _new(world: World, given: Json) -> Json:
    return {
        "id": world.identifiers.new("we"),
        "object": "webhook_endpoint",
        "api_version": given.get("api_version"),
        "application": None,
        "created": world.clock.now(),
        "description": given.get("description"),
        "enabled_events": given["enabled_events"],
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "status": "enabled",
        "url": given["url"],
    }


def ensure_given(world: World) -> None:
    """The endpoints of the start options: the same ones at each start, with secrets that the local stack knows."""
    settings = world.settings
    if settings.webhook_endpoint and settings.webhook_secret:
        _ensure(world, settings.webhook_endpoint, settings.webhook_secret, connect=False)
    if settings.connect_webhook_endpoint and settings.connect_webhook_secret:
        _ensure(world, settings.connect_webhook_endpoint, settings.connect_webhook_secret, connect=True)


def _ensure(world: World, url: str, secret: str, *, connect: bool) -> None:
    for endpoint in world.outbox.endpoints.values():
        if endpoint.url == url and endpoint.connect == connect and secret in endpoint.secrets:
            return
    events = list(world.settings.webhook_events)
    body = _new(world, {"url": url, "enabled_events": events, "api_version": API_VERSION})
    world.insert(PLATFORM, "webhook_endpoint", body, {"secrets": [secret], "connect": connect})
    world.outbox.load_endpoints()


def roll_secret(world: World, account: str, endpoint_id: str) -> str | None:
    """A new secret beside the old one: until the next roll both sign every delivery. None: no such endpoint."""
    record = world.store.find(account, "webhook_endpoint", endpoint_id)
    if record is None:
        return None
    secret = world.identifiers.new("whsec", 32)
    record.private["secrets"] = [secret, record.private["secrets"][0]]
    world.save(record)
    world.outbox.load_endpoints()
    return secret


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise invalid(
            "Invalid URL: an explicit scheme (such as https) must be provided.", code="url_invalid", param="url"
        )


def retrieve(call: Call) -> Json:
    return _find(call).body


def list_all(call: Call) -> Json:
    return list_objects(call, "webhook_endpoint", {})


def update(call: Call) -> Json:
    """Deliveries that wait go to the new URL; new `enabled_events` hold from the next event on."""
    record, given = _find(call), call.parameters
    if "url" in given:
        _check_url(given["url"])
    record.body |= {name: given[name] for name in ("url", "enabled_events", "description") if name in given}
    if "disabled" in given:
        record.body["status"] = "disabled" if given["disabled"] else "enabled"
    record.body["metadata"] = merge_metadata(record.body["metadata"], given.get("metadata"))
    call.world.save(record)
    call.world.outbox.load_endpoints()
    return record.body


def delete(call: Call) -> Json:
    record = _find(call)
    call.world.store.delete(record)
    call.world.outbox.load_endpoints()
    return {"id": record.id, "object": "webhook_endpoint", "deleted": True}


def _find(call: Call) -> Record:
    record = call.world.store.find(call.account, "webhook_endpoint", call.path_ids[0])
    if record is None:
        raise missing_object("webhook endpoint", call.path_ids[0])
    return record
