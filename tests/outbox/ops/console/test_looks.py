"""Every page in a real browser, wide and narrow, light and dark: nothing sticks out, and the policy holds."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from playwright.sync_api import Browser

from db.dead_letters import replay_batches
from db.dead_letters.views import DeadLetterFilter
from db.operators import requests
from db.operators.requests import NewOperatorRequest
from db.refunds import mass_refund_steps
from db.refunds.mass_refund_steps import BatchCounts
from db.session import Database
from outbox.ops.console.request_context import Services
from outbox.ops.console.sampler import SamplePoint
from outbox.ops.session import Operator
from outbox.requests.mass_refunds import cancel_event
from outbox.requests.operators import pauses, replays
from stripe_client.rate_limit.shared_budget import BucketState, TenantRate
from tests.outbox.ops.console import browser as browsing
from tests.outbox.ops.console.group_scene import group, queued_token, sent_token
from tests.outbox.ops.console.refund_scene import refunded
from tests.outbox.ops.console.scene import Scene
from tests.outbox.ops.console.share_scene import cut, on_its_way

pytestmark = pytest.mark.skipif(browsing.CHROMIUM is None, reason=browsing.WHY_SKIPPED)


def test_every_page_fits_its_window_and_breaks_no_policy(
    browser: Browser,
    db: Database,
    owner: psycopg.Connection,
    seal: tuple[str, str],
    local_services: Services,
    screenshots: Path,
) -> None:
    scene = Scene.set(db, owner, seal[0])
    paths = a_bad_day(scene, local_services)
    local_services = replace(local_services, read_buckets=partial(budget_of, scene))
    complaints: list[str] = []
    wide: list[str] = []

    with browsing.served(local_services) as address:
        for name, width, scheme in (("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light")):
            with browsing.page_of(browser, address, width=width, scheme=scheme, complaints=complaints) as page:
                page.goto("/login")
                browsing.shoot(page, screenshots, f"login-{name}")
                browsing.log_in(page, "oda")
                for title, path in paths.items():
                    page.goto(path)
                    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                        wide.append(f"{title} at {width}")
                    browsing.shoot(page, screenshots, f"{title}-{name}")

    assert complaints == []
    assert wide == []


def a_bad_day(scene: Scene, services: Services) -> dict[str, str]:
    """A scene with everything in it; the pages to look at."""
    scene.sale(120)
    scene.aftermath()
    letter = scene.dead_charge(with_history=True)
    oda = Operator(scene.db, services.ops, "oda")
    with oda.transaction() as acting:
        stripe_is_back = {"reason": "Stripe is back since 14:05", "rate_per_second": 5}
        charges, _ = replays.preview(acting, DeadLetterFilter(kind="charge"), **stripe_is_back)
    classify(scene.db, charges)
    with oda.transaction() as acting:
        replays.start(acting, charges)
        mine, _ = replays.preview(acting, DeadLetterFilter(ids=(letter,)), reason="try one first")
    classify(scene.db, mine)
    with oda.transaction() as acting:
        orders, _ = replays.preview(acting, DeadLetterFilter(source="orders"), reason="the order service is fixed")
        replays.cancel(acting, orders, reason="it is not fixed after all")
        pauses.pause(
            acting,
            tenant_id=scene.tenants[0].tenant_id,
            venue_id=None,
            what="charges",
            reason="a bot buys the whole first row, the promoter asked us to wait until he has called the police",
            seconds=None,
        )
    case = scene.differences()
    scene.disputed(hours_left=400, inquiry=True)
    dispute = scene.disputed()
    services.sampler.look()
    for seconds in range(0, 1500, 30):  # as if it had watched for a while
        older = SamplePoint(time.monotonic() - seconds, 3, 0.2 + seconds % 90 / 60, 1200 - seconds * 0.7)
        services.sampler.marks.appendleft(older)
    cancellation = money_back(scene)
    shared_out = everybodys_part(scene)
    queued_token(scene)
    with scene.db.ops_transaction() as tx:
        row = tx.execute("SELECT payment_id FROM dead_letters WHERE dead_letter_id = %s", [letter]).fetchone()
    assert row is not None
    return {
        "overview": "/",
        "dead-letters": "/dead-letters",
        "groups": "/dead-letters/groups",
        "dead-letter": f"/dead-letters/{letter}",
        "edit": f"/dead-letters/{letter}/edit",
        "batches": "/batches",
        "batch": f"/batches/{mine}",
        "batch-waiting": f"/batches/{charges}",
        "approvals": "/approvals",
        "payments": "/payments",
        "payment": f"/payments/{row[0]}",
        "disputes": "/disputes",
        "dispute": f"/disputes/{dispute}",
        "refunds": "/refunds",
        "cancelled-event": f"/refunds/events/{cancellation}",
        "shares": "/shares",
        "shares-of-payment": f"/shares/payments/{shared_out}",
        "payouts": "/payouts",
        "payout": f"/payouts/{paid_out(scene)}",
        "paying-groups": "/groups",
        "paying-group": f"/groups/{group(scene, paying=2)}",
        "tokens": "/mints",
        "token": f"/mints/{sent_token(scene)}",
        "queues": "/queues",
        "budget": "/budget",
        "reconciliation": "/reconciliation",
        "case": f"/reconciliation/cases/{case}",
        "log": "/operator-log",
    }


def budget_of(scene: Scene) -> list[BucketState]:
    """In the middle of an on-sale, a few seconds after Stripe has said 429."""
    uses = (15.2, 2.1, 0.4)
    tenants = tuple(TenantRate(tenant.tenant_id, used) for tenant, used in zip(scene.tenants, uses, strict=True))
    return [
        BucketState("account", 25.0, 25.0, 18.3, 0, None, (*tenants, TenantRate(None, 0.6))),
        BucketState("payment_intents", 25.0, 17.5, 16.9, 12, 4.0, tenants),
        BucketState("refunds", 25.0, 25.0, 1.4, 0, None, tenants[:1]),
    ]


def everybodys_part(scene: Scene) -> UUID:
    """Shares in escrow for several reasons, some on their way and some not; one release waits for a second person."""
    cut(scene, ends_in_days=2)
    cut(scene, ends_in_days=None, amount_minor=123_456)
    person = cut(scene, ends_in_days=-9)
    scene.owner.execute(
        "UPDATE distributions SET held_at = now(), held_by = 'ada', held_because = 'the police asked about the buyer' "
        "WHERE payment_id = %s",
        [person.payment_id],
    )
    large = cut(scene, ends_in_days=30, amount_minor=250_000)
    with scene.db.ops_transaction() as tx:
        whose = (large.tenant_id, "release", large.payment_id, 200_000, "eur")
        requests.ask(tx, NewOperatorRequest(*whose, note="the tour is paid ahead", by="oda"), awaits_approval=True)
    return on_its_way(scene).payment_id


def paid_out(scene: Scene) -> str:
    """Payouts of an account in every state, one with contents; what lies in it."""
    account = "acct_1SVbQ2LkdIwHu7ix"
    scene.owner.execute("UPDATE recipients SET account_id = %s WHERE kind <> 'venue'", [account])
    scene.owner.execute(
        "INSERT INTO connected_balances (account_id, currency, available_minor, pending_minor) "
        "VALUES (%s, 'eur', %s, %s)",
        [account, 1_234_567, -8_900],
    )
    for number, status in enumerate(["in_transit", "paid", "failed", "canceled"]):
        came_back = status in {"failed", "canceled"}
        scene.owner.execute(
            "INSERT INTO connected_payouts (payout_id, account_id, amount_minor, currency, automatic, status, "
            "failure_code, contents_ready, created_at, arrives_at, paid_at, came_back_at, listed_at) "
            "VALUES (%s, %s, 123456, 'eur', %s, %s, %s, true, now() - %s * interval '1 day', now(), "
            "CASE WHEN %s THEN now() END, CASE WHEN %s THEN now() END, CASE WHEN %s THEN now() END)",
            [f"po_1SVbQ2LkdIwHu7ixA9cX4f0{number}", account, status != "canceled", status,
             "account_closed" if status == "failed" else None, number, status in {"paid", "failed"}, came_back,
             status == "failed"],
        )  # fmt: skip
    failed = "po_1SVbQ2LkdIwHu7ixA9cX4f02"
    for number, made_by in enumerate(["tr_3TQd0o2eZvKYlo2C0Ab1Cd2E", "trr_1TQd0o2eZvKYlo2CKq8Xa3ZZ", None]):
        scene.owner.execute(
            "INSERT INTO connected_payout_lines (payout_id, balance_transaction_id, type, made_by, net_minor, "
            "currency, created_at) VALUES (%s, %s, %s, %s, %s, 'eur', now())",
            [failed, f"txn_{number}", "payment_refund" if number == 1 else "payment", made_by, 41_152 * (number + 1)],
        )
    return failed


def money_back(scene: Scene) -> UUID:
    """Refunds in every state, some owed again, one that waits for a second person; events half way and at a stand."""
    tenant = scene.tenants[0]
    event_id = uuid4()
    for number, state in enumerate(["pending", "succeeded", "failed", "refused", "requested"] * 2):
        refunded(scene, state, days_ago=number * 3, event_id=str(event_id))
    with scene.db.transaction(tenant.tenant_id) as tx:
        cancel_event(tx, tenant.tenant_id, uuid4(), note="the singer is ill", by="intake", rate_per_second=50)
        run, _ = cancel_event(tx, tenant.tenant_id, event_id, note="storm warning", by="oda")
        taken = mass_refund_steps.next_slice(tx, run, limit=7)
        counts = BatchCounts(refunds_asked=5, nothing_left=1, refused=1)
        mass_refund_steps.advance(tx, run, cursor=taken[-1].order_id, counts=counts, by="test")
        said = "Stripe's balance is short by 8,400.00 EUR for the refunds that come next"
        mass_refund_steps.wait_for_balance(tx, run, reason=said, by="test")
        given = (tx, run, taken[0].payment_id)
        mass_refund_steps.refuse(*given, code="request_key_reused", reason="made before with other contents")
    whose = (tenant.tenant_id, "refund", taken[1].payment_id, 4200, "eur")
    new = NewOperatorRequest(*whose, note="paid twice", by="rita", reason="duplicate")
    with scene.db.ops_transaction() as tx:
        requests.ask(tx, new, awaits_approval=True)
    return run.cancellation_id


def classify(db: Database, batch_id: object) -> None:
    """What the worker does, without asking Stripe: most are safe, some are not."""
    classes = ["safe"] * 6 + ["already_done", "needs_new_key", "must_not"]
    with db.system_transaction() as tx:
        for number, item in enumerate(replay_batches.items(tx, batch_id)):  # type: ignore[arg-type]
            class_ = classes[number % len(classes)]
            replay_batches.classify(
                tx,
                item.batch_id,
                item.dead_letter_id,
                class_=class_,
                proof="nothing was ever sent to Stripe for this payment" if class_ == "safe" else "Stripe was asked",
                amount_minor=4200,
                currency="eur",
            )
        replay_batches.move(tx, batch_id, leaving=("classifying",), to="previewed")  # type: ignore[arg-type]
