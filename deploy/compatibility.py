"""What the previous release says on the wire, kept so that the next one can be tried against it.

While a release rolls out, processes of both work side by side, and a message may wait in the outbox for longer than
that. So two things must hold (tests/deploy/test_compatibility.py): the new code reads whatever the old one has written,
and writes nothing that the old one refuses. Our own messages refuse unknown fields (money is not moved on words that
were not understood), so a field comes in two releases: one that reads it, then one that writes it. A new kind of
message needs a queue that the old workers do not listen to.

    python -m deploy.compatibility > tests/deploy/previous_release.json      # when a release is cut, never in between
"""

import json
import sys
from typing import Any

from deploy import contract_examples as examples
from deploy import contract_facts, contract_work
from messages import queues
from messages.base import WireModel


def released() -> dict[str, Any]:
    """Every message and event as this version writes it, with the fields it would read, at any depth."""
    return {
        "queues": {message.kind: route.queue for message, route in queues.ROUTES.items()},
        "messages": {
            message.kind: {
                "fields": sorted(type(message).model_fields),
                "payload": message.model_dump(mode="json"),
            }
            for message in contract_work.MESSAGES
        },
        "events_in": {
            type(word).__name__: examples.order_event(word).model_dump(mode="json") for word in examples.ORDER_EVENTS
        },
        "events_out": {
            fact.event_type: {"fields": fields_of(fact), "event": examples.public_event(fact).model_dump(mode="json")}
            for fact in contract_facts.PUBLIC_EVENTS
        },
    }


def fields_of(word: WireModel) -> list[str]:
    return sorted(type(word).model_fields)


def main() -> None:
    json.dump(released(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
