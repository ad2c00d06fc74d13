"""Stripe's published OpenAPI description, made strict: the judge of every answer in these tests.

The description is large and not ours to ship: STRIPE_SPEC_DIR names the folder with spec-reduced.json and
spec-delta.json. Unknown fields fail, also deep inside, because a field that Stripe does not have would teach the fleet
a lie. An expandable field may be an id or an object.
"""

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

Json = dict[str, Any]
_ADDED_WORDS = re.compile(r"enum \+(\[.*?\])")
_BESIDE_THE_REPOSITORY = Path(__file__).parents[4].parent / "shared" / "stripe"


def folder() -> Path:
    return Path(os.environ.get("STRIPE_SPEC_DIR", _BESIDE_THE_REPOSITORY))


def load() -> Json | None:
    """None where the description is not to be had."""
    file = folder() / "spec-reduced.json"
    if not file.exists():
        return None
    described: Json = json.loads(file.read_text())
    _add_delta(described, json.loads((folder() / "spec-delta.json").read_text()))
    for schema in described["components"]["schemas"].values():
        _tighten(schema)
    return described


def _add_delta(described: Json, delta: Json) -> None:
    """What came with later API versions. Of new fields the names are known, the shapes are not: they allow anything."""
    schemas = described["components"]["schemas"]
    for line in (line for lines in delta["resources"].values() for line in lines):
        place, _, change = line[2:].partition(" ")
        if place.count(".") != 1:
            continue
        resource, name = place.split(".")
        if line.startswith("+ "):
            schemas[resource]["properties"][name] = {}
        elif added := _ADDED_WORDS.match(change):
            schemas[resource]["properties"][name].get("enum", []).extend(ast.literal_eval(added.group(1)))


def _tighten(schema: Any) -> None:
    """From OpenAPI 3.0 to JSON Schema, and no field beside the described ones."""
    if isinstance(schema, list):
        for part in schema:
            _tighten(part)
    if not isinstance(schema, dict):
        return
    for part in list(schema.values()):
        _tighten(part)
    if "properties" in schema and isinstance(schema["properties"], dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    if "x-expandsTo" in schema:
        described = {name: schema.pop(name) for name in list(schema) if name != "nullable"}
        schema["anyOf"] = [described, {"type": "object"}]
    if schema.pop("nullable", False) is True:
        described = {name: schema.pop(name) for name in list(schema)}
        schema["anyOf"] = [described, {"type": "null"}]


class Judge:
    def __init__(self, described: Json) -> None:
        self.components = described["components"]
        self.validators: dict[str, Draft202012Validator] = {}

    def errors(self, kind: str, answer: Json) -> list[str]:
        if kind not in self.validators:
            schema = {"$ref": f"#/components/schemas/{kind}", "components": self.components}
            self.validators[kind] = Draft202012Validator(schema)
        found = self.validators[kind].iter_errors(answer)
        return [f"{kind} {error.json_path}: {error.message}" for error in _deepest(found)]

    def errors_of_answer(self, answer: Json) -> list[str]:
        """Of whatever was answered: an error, a list of objects, or one object."""
        if "error" in answer:
            return self.errors("error", answer)
        if answer["object"] in ("list", "search_result"):
            return [error for item in answer["data"] for error in self.errors_of_answer(item)]
        prefix = "deleted_" if answer.get("deleted") else ""
        return self.errors(prefix + answer["object"], answer)


def _deepest(errors: Iterator[Any]) -> Iterator[Any]:
    for error in errors:
        inner = [part for part in error.context or () if part.json_path != error.json_path]
        yield from _deepest(iter(inner)) if inner else iter([error])
