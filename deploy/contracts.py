"""Generates the published contracts, for other teams to read and test against; the models in messages/ are the source.

deploy/docs/asyncapi.json      AsyncAPI 3.0.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0)
deploy/docs/openapi.json       OpenAPI 3.1 of the API in front (outbox/intake/api/)
deploy/docs/schemas/*.json     one JSON Schema (draft 2020-12) per event and message, each with an example

`python -m deploy.contracts` writes them; `--check` lists stale ones and exits 1.
"""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from typing import Any, TypeVar

from deploy import contract_examples, contract_facts, contract_work
from deploy.contract_examples import OrderWord
from messages import queues
from messages.base import CloudEvent, Fact, Message, WireModel, dataschema
from outbox.intake.api import openapi

Document = dict[str, Any]
Example = TypeVar("Example", bound=WireModel)

DOCS = Path(__file__).parent / "docs"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
# The four of CloudEvents, and those that we require in addition.
REQUIRED_ATTRIBUTES = ["specversion", "id", "source", "type", "time", "dataschema", "data"]


@dataclass(frozen=True, slots=True)
class Contract:
    """One event or message: `name` is its file, `address` its routing key or queue."""

    name: str
    model: type[WireModel]
    content_type: str
    schema: Document
    example: Document
    address: str
    action: str
    channel_bindings: Document
    channel_notes: Document


def main(arguments: Sequence[str]) -> int:
    """Write the documents, or with --check only compare them; returns the exit code."""
    wanted = documents()
    stale = stale_files(wanted, DOCS)
    if "--check" in arguments:
        for path in stale:
            print(f"stale: {path} (run: python -m deploy.contracts)")
        return 1 if stale else 0
    write(wanted, DOCS)
    print(f"{len(wanted)} documents, {len(stale)} changed")
    return 0


def documents() -> dict[str, str]:
    """Path below deploy/docs -> text."""
    contracts = all_contracts()
    texts = {f"schemas/{contract.name}.json": _text(contract.schema) for contract in contracts}
    return {"asyncapi.json": _text(asyncapi(contracts)), "openapi.json": openapi.text(), **texts}


def stale_files(wanted: dict[str, str], folder: Path) -> list[str]:
    """Files that are missing, differ, or are no longer generated."""
    found = {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.json"))}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def write(wanted: dict[str, str], folder: Path) -> None:
    for name in stale_files(wanted, folder):
        path = folder / name
        if name not in wanted:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[name])


def all_contracts() -> list[Contract]:
    """Every event and message of the tables in messages/queues.py.

    Raises:
        LookupError: one of them has no example in deploy/contract_examples.py.
    """
    facts = [_public_event(kind) for kind in queues.PUBLIC_EVENTS]
    work = [_internal_message(kind, route) for kind, route in queues.ROUTES.items()]
    return [*map(_order_event, contract_examples.ORDER_EVENTS), *facts, *work]


def _order_event(word: OrderWord) -> Contract:
    """An event of the order service; each has an example and is known to the intake."""
    example = _as_json(contract_examples.order_event(word))
    return Contract(
        name=word.event_type,
        model=type(word),
        content_type="application/cloudevents+json",
        schema=_event_schema(type(word), word.event_type, word.version, example),
        example=example,
        address=word.event_type,
        action="receive",
        channel_bindings=_exchange(queues.ORDERS_EXCHANGE),
        channel_notes={
            "description": f"Publish to the exchange with this routing key; the fleet's queue {queues.ORDERS_QUEUE} is "
            f"bound with {queues.ORDERS_BINDING}. A body over {queues.LARGEST_ORDER_BYTES} bytes is rejected. Use "
            "publisher confirms and keep unconfirmed events: the broker may lose them without an error."
        },
    )


def _public_event(kind: type[Fact]) -> Contract:
    example = _as_json(contract_examples.public_event(_example_of(kind, contract_facts.PUBLIC_EVENTS)))
    return Contract(
        name=kind.event_type,
        model=kind,
        content_type="application/cloudevents+json",
        schema=_event_schema(kind, kind.event_type, kind.version, example),
        example=example,
        address=kind.event_type,
        action="send",
        channel_bindings=_exchange(queues.EVENTS_EXCHANGE),
        channel_notes={"description": "Bind your own queue to the exchange with this routing key."},
    )


def _internal_message(kind: type[Message], route: queues.Route) -> Contract:
    example = _example_of(kind, contract_work.MESSAGES).model_dump(mode="json")
    return Contract(
        name=f"work.{kind.kind}",
        model=kind,
        content_type="application/json",
        schema={"$schema": DRAFT, **kind.model_json_schema(), "examples": [example]},
        example=example,
        address=route.queue,
        action="receive",
        channel_bindings=_queue(route.queue),
        channel_notes={
            "description": f"Internal: work for the actor `{kind.kind}`, wrapped in a Dramatiq message.",
            "x-patience": {
                "tries": route.patience.tries,
                "backoffBaseSeconds": route.patience.backoff_base_seconds,
                "backoffCeilingSeconds": route.patience.backoff_ceiling_seconds,
                "timeLimitSeconds": route.patience.time_limit_seconds,
                "maxAgeSeconds": route.patience.max_age_seconds,
            },
        },
    )


def _example_of(kind: type[Example], examples: Sequence[WireModel]) -> Example:
    for example in examples:
        if isinstance(example, kind):
            return example
    raise LookupError(f"{kind.__name__} has no example: add one to deploy/contract_work.py or contract_facts.py")


def _as_json(event: CloudEvent) -> Document:
    """Structured JSON mode; attributes that are not set are omitted, as CloudEvents requires."""
    return event.model_dump(mode="json", exclude_none=True)


def _event_schema(data: type[WireModel], event_type: str, version: int, example: Document) -> Document:
    """The schema of the CloudEvent with this data: extension attributes are allowed, unknown data fields are not."""
    envelope = CloudEvent.model_json_schema()
    payload = data.model_json_schema()
    definitions = payload.pop("$defs", {})
    envelope["properties"]["type"] = {"const": event_type, "title": "Type"}
    envelope["properties"]["dataschema"] = {"const": dataschema(event_type, version), "title": "Dataschema"}
    envelope["properties"]["data"] = payload
    return {
        "$schema": DRAFT,
        **envelope,
        "title": event_type,
        "description": getdoc(data),
        "required": REQUIRED_ATTRIBUTES,
        "$defs": definitions,
        "examples": [example],
    }


def asyncapi(contracts: Sequence[Contract]) -> Document:
    """The AsyncAPI document: channels, operations and messages; `x-patience` is the retry policy of a queue."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Payment fleet",
            "version": "1.0.0",
            "description": "Events that the payment fleet receives from the order service and publishes to other "
            "services, and its internal messages. Events are CloudEvents 1.0 in structured JSON mode. No message "
            "contains card data or secrets.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server()},
        "channels": {contract.name: _channel(contract) for contract in contracts},
        "operations": {f"{contract.action}.{contract.name}": _operation(contract) for contract in contracts},
        "components": {"messages": {contract.name: _message(contract) for contract in contracts}},
    }


def _server() -> Document:
    return {
        "host": "{host}",
        "protocol": "amqp",
        "protocolVersion": "0-9-1",
        "description": "RabbitMQ; TLS (amqps) is required unless the address is loopback.",
        "variables": {"host": {"description": "Host and port of RABBITMQ_URL."}},
        "security": [{"type": "userPassword", "description": "A user with access to the broker's virtual host."}],
    }


def _channel(contract: Contract) -> Document:
    return {
        "address": contract.address,
        "messages": {contract.name: {"$ref": f"#/components/messages/{contract.name}"}},
        "bindings": {"amqp": contract.channel_bindings},
        **contract.channel_notes,
    }


def _operation(contract: Contract) -> Document:
    return {
        "action": contract.action,
        "channel": {"$ref": f"#/channels/{contract.name}"},
        "messages": [{"$ref": f"#/channels/{contract.name}/messages/{contract.name}"}],
    }


def _message(contract: Contract) -> Document:
    return {
        "name": contract.name,
        "title": _title(contract.model),
        "summary": (getdoc(contract.model) or "").split("\n\n")[0].replace("\n", " "),
        "contentType": contract.content_type,
        "payload": {
            "schemaFormat": "application/schema+json;version=2020-12",
            "schema": {"$ref": f"./schemas/{contract.name}.json"},
        },
        "examples": [{"name": "typical", "payload": contract.example}],
    }


def _title(model: type[WireModel]) -> str:
    """`PaymentSucceeded` is "Payment succeeded"."""
    return re.sub(r"(?<=[a-z])[A-Z]", lambda capital: f" {capital[0].lower()}", model.__name__)


def _exchange(name: str) -> Document:
    exchange = {"name": name, "type": "topic", "durable": True, "autoDelete": False}
    return {"is": "routingKey", "exchange": exchange, "bindingVersion": "0.3.0"}


def _queue(name: str) -> Document:
    queue = {"name": name, "durable": True, "exclusive": False, "autoDelete": False}
    return {"is": "queue", "queue": queue, "bindingVersion": "0.3.0"}


def _text(document: Document) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
