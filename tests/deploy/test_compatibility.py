"""Two releases side by side: the new one reads what the previous one wrote, and writes nothing it would refuse.

`previous_release.json` is what `python -m deploy.compatibility` printed when the previous release was cut.
"""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from pydantic import ValidationError

from deploy.compatibility import released
from messages.payments import ChargeRequested
from messages.queues import kind_to_message
from outbox.broker.strict_encoder import StrictEncoder
from outbox.intake.order_events import IncomingEvent, decode
from workers.runtime.actor import envelope_of

PREVIOUS: dict[str, Any] = json.loads(Path(__file__).with_name("previous_release.json").read_text())
NOW: dict[str, Any] = released()


@pytest.mark.parametrize("kind", sorted(PREVIOUS["messages"]))
def test_a_message_of_the_previous_release_is_still_read_and_means_the_same(kind: str) -> None:
    before = PREVIOUS["messages"][kind]

    message = kind_to_message()[kind].model_validate(before["payload"])

    assert {name: message.model_dump(mode="json")[name] for name in before["payload"]} == before["payload"]


@pytest.mark.parametrize("kind", sorted(PREVIOUS["messages"]))
def test_a_message_says_nothing_that_a_worker_of_the_previous_release_would_refuse(kind: str) -> None:
    written, known = set(NOW["messages"][kind]["payload"]), set(PREVIOUS["messages"][kind]["fields"])

    assert written <= known, (
        f"{kind} now writes {sorted(written - known)}: the first release reads a new field, the second one writes it"
    )


def test_a_message_stays_on_the_queue_where_the_previous_release_looks_for_it() -> None:
    assert NOW["queues"].items() >= PREVIOUS["queues"].items()


def test_a_new_kind_of_message_waits_where_no_worker_of_the_previous_release_listens() -> None:
    old_queues = set(PREVIOUS["queues"].values())

    misplaced = {
        kind: queue for kind, queue in NOW["queues"].items() if kind not in PREVIOUS["queues"] and queue in old_queues
    }

    assert misplaced == {}, "old workers would dead-letter them: give them a queue, or cut the release first"


@pytest.mark.parametrize("name", sorted(PREVIOUS["events_in"]))
def test_an_order_event_as_it_was_published_before_is_still_accepted(name: str) -> None:
    event = PREVIOUS["events_in"][name]

    decoded = decode(IncomingEvent(orjson.dumps({**event, "anextensionofthefuture": "x"})))

    assert str(decoded.tenant_id) == event["data"]["tenant_id"]
    assert decoded.trace_id in event["traceparent"]


@pytest.mark.parametrize("name", sorted(PREVIOUS["events_out"]))
def test_a_fact_we_tell_keeps_every_field_that_listeners_know(name: str) -> None:
    before, now = PREVIOUS["events_out"][name]["event"], NOW["events_out"][name]["event"]

    assert before["data"].keys() <= now["data"].keys()
    assert before["dataschema"] == now["dataschema"], "another version of the data is another event beside the old one"


def test_options_that_a_later_release_adds_around_a_message_are_passed_over() -> None:
    wire = {
        "queue_name": "charges",
        "actor_name": "charge",
        "args": [],
        "kwargs": {"payload": PREVIOUS["messages"]["charge"]["payload"]},
        "options": {"attempt": 2, "an_option_of_tomorrow": True},
        "message_id": str(uuid4()),
        "message_timestamp": 1,
        "a_field_of_tomorrow": "x",
    }

    fields = StrictEncoder().decode(orjson.dumps(wire))

    assert envelope_of(fields["message_id"], fields["options"]).attempt == 2


def test_a_field_that_was_not_understood_moves_no_money() -> None:
    payload = {**PREVIOUS["messages"]["charge"]["payload"], "a_field_of_tomorrow": 1}

    with pytest.raises(ValidationError, match="a_field_of_tomorrow"):
        ChargeRequested.model_validate(payload)
