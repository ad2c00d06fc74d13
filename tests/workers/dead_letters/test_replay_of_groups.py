"""What a replay of a letter about a group would mean: judged from how the group stands now."""

import psycopg
import pytest

from db.session import Database
from db.tenants.tenants import Tenant
from outbox.intake.order_events import IncomingEvent, decode
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.groups.scenario import Party
from workers.dead_letters.judge_groups import judge_wish, judge_work


@pytest.fixture
def party(db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant) -> Party:
    return Party.opened(db, owner, gateway, tenant, 1000, 1000)


def judged(party: Party, word: str, data: dict[str, object]) -> str:
    event = decode(IncomingEvent(factories.group_event(word, data)))
    return judge_wish(event, event.content, party.db).class_  # type: ignore[arg-type]


def work(party: Party, kind: str, **more: object) -> str:
    ids = {"tenant_id": str(party.tenant.tenant_id), "group_id": str(party.group_id)}
    return judge_work(kind, ids | more, party.db).class_


def test_looking_at_a_group_again_is_safe_and_calling_it_off_is_done_once(party: Party) -> None:
    wish = {"reason": "a person said so", "by": "ops:ada"}
    assert (work(party, "group"), work(party, "cancel_group", **wish)) == ("safe", "safe")

    party.call_off()

    assert (work(party, "group"), work(party, "cancel_group", **wish)) == ("safe", "already_done")
    assert work(party, "group", group_id="none") == "must_not"


def test_a_share_whose_group_has_come_is_safe_until_it_is_taken_or_the_group_is_over(party: Party) -> None:
    share, other = party.share(0), party.share(1)
    assert judged(party, "share_paid_with", share) == "safe"
    assert judged(party, "share_paid_with", factories.share(factories.group(party.tenant), 0)) == "must_not"

    party.tell("share_paid_with", share)
    assert judged(party, "share_paid_with", share) == "already_done"
    party.call_off()
    assert judged(party, "share_paid_with", other) == "must_not"


def test_a_group_that_was_opened_meanwhile_is_done_and_another_under_its_id_must_not_come(party: Party) -> None:
    assert judged(party, "opened", party.data) == "already_done"
    assert judged(party, "opened", party.data | {"tickets_per_buyer": 7}) == "must_not"
    assert judged(party, "opened", factories.group(party.tenant)) == "safe"


def test_a_group_that_is_called_off_already_need_not_be(party: Party) -> None:
    ids = {"group_id": str(party.group_id), "tenant_id": str(party.tenant.tenant_id)}
    assert judged(party, "cancelled", ids) == "safe"

    party.call_off()
    assert judged(party, "cancelled", ids) == "already_done"
