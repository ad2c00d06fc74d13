"""The documents other teams build on say what the models say, and their examples are true."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from jsonschema import Draft202012Validator

from deploy import contracts
from deploy.contracts import DOCS, Contract, Document, all_contracts
from messages import queues
from messages.base import CloudEvent
from outbox.intake.order_events import WORDS

CONTRACTS = all_contracts()
EVENTS = [contract for contract in CONTRACTS if contract.content_type == "application/cloudevents+json"]
WORK = [contract for contract in CONTRACTS if contract not in EVENTS]


def by_name(contract: Contract) -> str:
    return contract.name


def committed(name: str) -> Any:
    return json.loads((DOCS / name).read_text())


def validator(schema: Document) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_the_committed_documents_are_not_stale() -> None:
    assert contracts.stale_files(contracts.documents(), DOCS) == []


def test_a_missing_a_changed_and_a_forgotten_file_are_each_named(tmp_path: Path) -> None:
    contracts.write({"a.json": "1", "b.json": "2", "schemas/c.json": "3"}, tmp_path)

    stale = contracts.stale_files({"b.json": "changed", "schemas/c.json": "3", "d.json": "new"}, tmp_path)

    assert stale == ["a.json", "b.json", "d.json"]


def test_everything_in_the_queue_table_has_a_contract() -> None:
    expected = set(WORDS)
    expected |= {fact.event_type for fact in queues.PUBLIC_EVENTS}
    expected |= {f"work.{kind}" for kind in queues.kind_to_message()}

    assert {contract.name for contract in CONTRACTS} == expected


@pytest.mark.parametrize("contract", CONTRACTS, ids=by_name)
def test_each_example_validates_against_its_committed_schema(contract: Contract) -> None:
    schema = committed(f"schemas/{contract.name}.json")

    Draft202012Validator.check_schema(schema)

    assert schema["examples"]
    for example in schema["examples"]:
        validator(schema).validate(example)


@pytest.mark.parametrize("contract", EVENTS, ids=by_name)
def test_each_event_example_survives_the_round_trip_through_its_models(contract: Contract) -> None:
    example = committed(f"schemas/{contract.name}.json")["examples"][0]

    event = CloudEvent.model_validate_json(json.dumps(example))
    data = contract.model.model_validate_json(json.dumps(event.data))

    assert event.model_dump(mode="json", exclude_none=True) == example
    assert data.model_dump(mode="json") == example["data"]


@pytest.mark.parametrize("contract", WORK, ids=by_name)
def test_each_message_example_survives_the_round_trip_through_its_model(contract: Contract) -> None:
    example = committed(f"schemas/{contract.name}.json")["examples"][0]

    message = contract.model.model_validate_json(json.dumps(example))

    assert message.model_dump(mode="json") == example


@pytest.mark.parametrize("contract", EVENTS, ids=by_name)
def test_each_event_has_the_attributes_that_cloudevents_asks_for(contract: Contract) -> None:
    event = contract.example

    assert event["specversion"] == "1.0"
    assert all(isinstance(event[name], str) and event[name] for name in ("id", "source", "type"))
    assert all(name.isalnum() and name.islower() for name in event)
    assert None not in event.values()
    assert event["type"] == contract.name


@pytest.mark.parametrize("missing", contracts.REQUIRED_ATTRIBUTES)
def test_an_event_without_a_required_attribute_breaks_its_schema(missing: str) -> None:
    contract = EVENTS[0]
    broken = {name: value for name, value in contract.example.items() if name != missing}

    with pytest.raises(jsonschema.ValidationError, match=missing):
        validator(contract.schema).validate(broken)


def test_an_extension_attribute_is_allowed_and_an_unknown_field_of_the_data_is_not() -> None:
    contract = EVENTS[0]

    validator(contract.schema).validate({**contract.example, "partitionkey": "7"})

    with pytest.raises(jsonschema.ValidationError, match="card_number"):
        data = {**contract.example["data"], "card_number": "4242"}
        validator(contract.schema).validate({**contract.example, "data": data})


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = committed("asyncapi.json")

    for reference in references(document):
        if reference.startswith("./"):
            assert (DOCS / reference).is_file(), reference
            continue
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [found for inner in part for found in references(inner)]
    if isinstance(part, dict):
        here = [part["$ref"]] if "$ref" in part else []
        return here + [found for inner in part.values() for found in references(inner)]
    return []


def test_the_documents_name_no_machine() -> None:
    for text in contracts.documents().values():
        assert "localhost" not in text
        assert "127.0.0.1" not in text
        assert "://" not in text.replace(contracts.DRAFT, "")
