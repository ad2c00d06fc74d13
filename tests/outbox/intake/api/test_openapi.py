"""The document tells the truth: schemathesis tries every operation of it against the running process."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from starlette.testclient import TestClient

from db.session import Database
from db.tenants import tenants
from db.tenants.tenants import Tenant, Venue
from deploy import contracts
from messages.fees import FeePlan
from messages.ids import TenantId, VenueId
from outbox.intake.accept import accept
from outbox.intake.api import examples, openapi
from outbox.intake.api.callers import Permission
from outbox.intake.api.operations import OPERATIONS, Operation
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from tests import factories
from tests.outbox.intake.api import server
from tests.outbox.intake.api.conftest import captured_payment, held_payment
from tests.outbox.intake.api.server import Server
from tests.tokens import Keys

SEED = "4"
EXAMPLES = "30"
# positive_data_acceptance: that tickets add up to the total, and what a venue sells in, is in no schema.
# not_a_server_error takes the 501 of taxes for one; that nothing failed is asked of the metrics instead.
NOT_FOR_US = "positive_data_acceptance,not_a_server_error"
# A payment in which each operation finds something to do.
CONFIGURATION = """
[parameters]
payment_id = "{captured}"

[[operations]]
include-operation-id = "capturePayment"
parameters = {{ payment_id = "{held}" }}

[[operations]]
include-operation-id = "cancelPayment"
parameters = {{ payment_id = "{requested}" }}

[[operations]]
include-operation-id = ["getGroup", "payShare"]
parameters = {{ group_id = "{group}", member_id = "{member}" }}

[[operations]]
include-operation-id = "topUpGroup"
parameters = {{ group_id = "{missing}" }}

[[operations]]
include-operation-id = "cancelGroup"
parameters = {{ group_id = "{unwanted}" }}
"""
# Its example names a deadline, and that passes; what it grants is tried in test_groups.py.
GRANTED_ELSEWHERE = {"openGroup"}


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    """Sells at the venue of the examples, so that they are accepted."""
    venue = VenueId(UUID(examples.REQUESTS["createPayment"]["venue_id"]))
    made = Tenant(TenantId(uuid4()), "A Promoter", (Venue(venue, "The Hall", "eur", FeePlan(500, 50, "eur")),))
    tenants.register(owner, [made])
    return made


def test_the_running_process_keeps_every_word_of_its_document(
    environment: dict[str, str], keys: Keys, db: Database, owner: psycopg.Connection, tenant: Tenant, tmp_path: Path
) -> None:
    made = {"captured": captured_payment(db, tenant), "held": held_payment(db, tenant)}
    made["requested"] = factories.requested(db, tenant)
    ids: dict[str, object] = {state: payment.payment_id for state, payment in made.items()}
    for name in ("group", "missing", "unwanted"):
        group = factories.group(tenant)
        assert accept(db, [IncomingEvent(factories.group_event("opened", group))]) == [OrderOutcome.ACCEPTED]
        ids[name] = group["group_id"]
        ids.setdefault("member", group["members"][0]["member_id"])
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION.format(**ids))
    roles = ("service", "finance", "venue_staff")
    anything = server.token(keys, tenant.tenant_id, *roles, scope=" ".join(Permission))
    with Server.of(environment, tmp_path) as running:
        tried = try_everything(f"{running.url}/openapi.json", anything, tmp_path)
        metrics = httpx.get(f"{running.url}/metrics").text

    assert tried.returncode == 0, tried.stdout[-20_000:]
    assert 'status="500"' not in metrics, running.log.read_text()[-20_000:]
    for operation in (one for one in OPERATIONS if one.name not in GRANTED_ELSEWHERE):
        answered = f'operation="{operation.name}",status="{operation.status}"'
        assert answered in metrics, f"nothing was tried that {operation.name} grants"
    assert owner.execute("SELECT count(*) FROM payments").fetchone() == (len(made) + 3,)  # an order, a share, a top-up


def try_everything(document: str, token: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """One worker: with several, CPython before 3.11.8 stumbles in `ast` (github.com/python/cpython/issues/106905)."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", document, "--no-color"),
        *("--header", f"Authorization: Bearer {token}", "--seed", SEED, "--max-examples", EXAMPLES),
        *("--checks", "all", "--exclude-checks", NOT_FOR_US, "--suppress-health-check", "all"),
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_each_example_is_what_its_model_reads_and_answers(operation: Operation) -> None:
    answer = json.dumps(examples.ANSWERS[operation.name])
    assert json.loads(operation.answers.model_validate_json(answer).model_dump_json(exclude_unset=True))
    if operation.reads is not None:
        operation.reads.model_validate_json(json.dumps(examples.REQUESTS[operation.name]))


def test_each_operation_is_in_the_document_with_who_may() -> None:
    paths = openapi.document()["paths"]

    assert {(each.path, each.method.lower()) for each in OPERATIONS} == {
        (path, method) for path, methods in paths.items() for method in methods
    }
    assert (
        "Requires one of the roles buyer, venue_staff, finance" in paths["/payments/{payment_id}"]["get"]["description"]
    )


def test_the_served_document_is_the_committed_one(client: TestClient) -> None:
    committed = Path(contracts.__file__).parent / "docs" / "openapi.json"

    assert client.get("/openapi.json").text == committed.read_text()
