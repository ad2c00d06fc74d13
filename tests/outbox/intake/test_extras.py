"""What accompanies an order, a trace or a content type, is no reason to refuse it."""

import json
import re

import psycopg
import pytest

from db.session import Database
from db.tenants.tenants import Tenant
from outbox.requests.orders import OrderOutcome
from tests import factories
from tests.outbox.intake.test_accept import offer


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        42,
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{'ab' * 16}-{'0' * 16}-01",
        f"ff-{'ab' * 16}-00f067aa0ba902b7-01",
        f"00-{'ab' * 16}-00f067aa0ba902b7-01\n",
    ],
)
def test_a_traceparent_that_is_none_is_ignored_and_a_new_trace_begins(
    db: Database, owner: psycopg.Connection, tenant: Tenant, header: object
) -> None:
    """FAULTS-2 Q5: a malformed extra refused the sale. W3C Trace Context: what cannot be parsed is ignored."""
    event = factories.event(factories.order(tenant), traceparent=header)

    assert offer(db, event) == [OrderOutcome.ACCEPTED]

    [(body,)] = owner.execute("SELECT body FROM outbox").fetchall()
    trace_id = json.loads(bytes(body))["options"]["trace_id"]
    assert re.fullmatch("(?!0{32})[0-9a-f]{32}", trace_id)
    assert trace_id != "ab" * 16


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"', None]
)
def test_json_with_parameters_is_json(db: Database, tenant: Tenant, content_type: str | None) -> None:
    """FAULTS-2 Q5: `application/json; charset=utf-8` refused the sale."""
    event = factories.event(factories.order(tenant), datacontenttype=content_type)

    assert offer(db, event) == [OrderOutcome.ACCEPTED]
