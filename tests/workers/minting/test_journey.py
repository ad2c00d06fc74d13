"""One order's whole way, with real processes: from its event to a token on the chain and the fact that tells of it."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from db.minting import venue_settings
from db.minting.venue_settings import MintSettings
from deploy.local.stack.stack import Stack
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean
from tests.workers.minting.conftest import BUYER, Chain


@pytest.fixture
def minting_fleet(stack: Stack, template: str, chain: Chain, tmp_path: Path) -> Iterator[Fleet]:
    """The fleet with a minter on the chain of these tests."""
    settings = chain.server.environment() | {"CHAIN_POLL_SECONDS": "0.1", "CHAIN_LEASE_SECONDS": "0.5"}
    with Fleet.of(stack, template, tmp_path, settings) as fleet:
        hall = fleet.tenants["Rhine Arena"]
        with psycopg.connect(fleet.owner_url, autocommit=True) as owner:
            venue_settings.write(owner, hall.tenant_id, [MintSettings(hall.venues[0].venue_id, "on")])
        fleet.start("minter")
        yield fleet


def test_an_order_becomes_tokens_although_the_worker_dies_while_it_queues_them(
    minting_fleet: Fleet, chain: Chain
) -> None:
    minting_fleet.arm("mint.before_commit")

    minting_fleet.publish(*minting_fleet.orders(3, wallet=BUYER))

    def minted() -> bool:
        chain.mine()
        told = [kind for facts in minting_fleet.told().values() for kind in facts]
        return chain.tokens_of(BUYER) == 6 and told.count("ticket.minted") == 6

    minting_fleet.wait_until(minted, "six tokens exist and are told")
    assert not minting_fleet.crashes_left("mint.before_commit")
    assert_clean(minting_fleet)
