"""Three hundred charges at once, two worker processes, and a Stripe that takes 25 requests a second and no more."""

from collections.abc import Iterator

import pytest

from deploy.local.stack.stack import Stack
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean

ON_SALE, MODEST = 300, 12
SANDBOX = {
    "SWEEP_AFTER_SECONDS": "60",
    "STRIPE_REQUESTS_PER_SECOND": "25",
    "STRIPE_ENDPOINT_REQUESTS_PER_SECOND": "25",
}


@pytest.fixture(scope="module")
def limited_fleet(stack: Stack, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet.of(stack, template, tmp_path_factory.mktemp("fleet"), SANDBOX) as running:
        running.publish(running.order())
        running.wait_until_quiet()
        yield running


def test_an_on_sale_keeps_to_the_rate_and_leaves_the_other_tenant_its_share(limited_fleet: Fleet) -> None:
    fleet = limited_fleet
    fleet.control.set_limit(25.0, 25.0)
    asked = fleet.control.summary()["requests"].get("429", 0)
    sale = fleet.orders(ON_SALE, "Rhine Arena")
    modest = fleet.orders(MODEST, "Harbour Live")

    fleet.publish(*sale, *modest)  # the modest tenant stands behind the whole on-sale
    fleet.wait_until_quiet(timeout=120)

    assert_clean(fleet)
    assert fleet.rows("SELECT * FROM dead_letters") == []
    assert fleet.control.summary()["requests"].get("429", 0) - asked <= 6
    last = fleet.rows(
        """
        SELECT t.name, max(extract(epoch FROM h.at - p.created_at))::float8 AS seconds
        FROM payments p JOIN payment_history h USING (tenant_id, payment_id) JOIN tenants t USING (tenant_id)
        WHERE h.to_state = 'succeeded' GROUP BY t.name
        """
    )
    waited = {row["name"]: row["seconds"] for row in last}
    assert waited["Harbour Live"] < 0.75 * waited["Rhine Arena"], waited
