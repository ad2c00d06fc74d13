"""What a replay of a dead letter about a group would mean, checked against the group as it is now."""

from uuid import uuid4

import orjson
import psycopg
import pytest

from db.dead_letters.dead_letters import SealedDeadLetter
from db.session import Database
from db.tenants.tenants import Tenant
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.groups.scenario import Party
from workers.dead_letters.replay_check import OpenedDeadLetter, check_replay


@pytest.fixture
def party(db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant) -> Party:
    return Party.opened(db, owner, gateway, tenant, 1000, 1000)


def asked(party: Party, word: str, data: dict[str, object]) -> str:
    """The class of an event about the group that the order service sent and intake refused."""
    return _class_of(party, "orders", None, factories.group_event(word, data))


def work(party: Party, kind: str, **more: object) -> str:
    """The class of a dead message of the group's own work."""
    ids = {"tenant_id": str(party.tenant.tenant_id), "group_id": str(party.group_id)}
    return _class_of(party, "worker", kind, orjson.dumps(ids | more))


def _class_of(party: Party, source: str, kind: str | None, original: bytes) -> str:
    dead_letter = SealedDeadLetter(uuid4(), None, source, kind, None, str(uuid4()), None, None)
    opened = OpenedDeadLetter(dead_letter, original, orjson.loads(original))
    return check_replay(opened, party.db, party.gateway).class_


def test_looking_at_a_group_again_is_safe_and_calling_it_off_is_done_once(party: Party) -> None:
    wish = {"reason": "a person said so", "by": "ops:ada"}
    assert (work(party, "group"), work(party, "cancel_group", **wish)) == ("safe", "safe")

    party.call_off()

    assert (work(party, "group"), work(party, "cancel_group", **wish)) == ("safe", "already_done")
    assert work(party, "group", group_id="none") == "must_not"


def test_a_share_whose_group_has_come_is_safe_until_it_is_taken_or_the_group_is_over(party: Party) -> None:
    share, other = party.share(0), party.share(1)
    assert asked(party, "share_paid_with", share) == "safe"
    assert asked(party, "share_paid_with", factories.share(factories.group(party.tenant), 0)) == "must_not"

    party.tell("share_paid_with", share)
    assert asked(party, "share_paid_with", share) == "already_done"
    party.call_off()
    assert asked(party, "share_paid_with", other) == "must_not"


def test_a_group_that_was_opened_meanwhile_is_done_and_another_under_its_id_must_not_come(party: Party) -> None:
    assert asked(party, "opened", party.data) == "already_done"
    assert asked(party, "opened", party.data | {"tickets_per_buyer": 7}) == "must_not"
    assert asked(party, "opened", factories.group(party.tenant)) == "safe"


def test_a_group_that_is_called_off_already_need_not_be(party: Party) -> None:
    ids = {"group_id": str(party.group_id), "tenant_id": str(party.tenant.tenant_id)}
    assert asked(party, "cancelled", ids) == "safe"

    party.call_off()
    assert asked(party, "cancelled", ids) == "already_done"
