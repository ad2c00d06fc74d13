"""From the login to a replayed batch, in a real browser, with the fleet's own workers behind the pages."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from db.dead_letters import views as dead_letter_views
from db.dead_letters.views import DeadLetterFilter
from db.operators import log as operator_log
from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from outbox.ops.console.request_context import Services
from outbox.sealing import Sealer, SealSettings
from stripe_client.gateway import Gateway
from tests.outbox.ops.console import browser as browsing
from tests.outbox.ops.console.scene import Scene
from workers import main as _every_actor  # noqa: F401  registers them
from workers.runtime import actor

pytestmark = pytest.mark.skipif(browsing.CHROMIUM is None, reason=browsing.WHY_SKIPPED)
STEP_MS = 15_000


@pytest.fixture(autouse=True)
def _worker_keys(monkeypatch: pytest.MonkeyPatch, seal: tuple[str, str]) -> None:
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("DEAD_LETTER_PRIVATE_KEY", seal[1])


@contextmanager
def worker(db: Database, owner: psycopg.Connection, gateway: Gateway, sealer: Sealer) -> Iterator[None]:
    """Relay and worker in one thread: takes due messages of ours from the outbox and handles them."""
    leaving = threading.Event()

    def work() -> None:
        while not leaving.wait(0.05):
            rows = owner.execute(
                "DELETE FROM outbox WHERE exchange = '' AND due_at <= clock_timestamp() RETURNING kind, body"
            ).fetchall()
            for kind, body in rows:
                message: dict[str, Any] = orjson.loads(body)
                if kind == "charge" and not message["options"].get("replayed"):
                    continue  # the scene is still being set: this one is to be found dead
                envelope = actor.envelope_of(message["message_id"], message["options"])
                actor.run(actor.ACTORS[kind], message["kwargs"]["payload"], envelope, db, gateway, sealer)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    leaving.set()
    thread.join()


@pytest.fixture
def fleet(
    db: Database, owner: psycopg.Connection, gateway: Gateway, seal: tuple[str, str], local_services: Services
) -> Iterator[tuple[str, Scene]]:
    """The console's address and what the fleet holds, with a worker at work."""
    scene = Scene.set(db, owner, seal[0])
    sealer = Sealer(SealSettings(app_env="test", dead_letter_public_key=seal[0]))  # type: ignore[arg-type]
    with browsing.served(local_services) as address, worker(db, owner, gateway, sealer):
        yield address, scene


def test_from_the_login_to_a_replayed_batch(
    browser: Browser,
    fleet: tuple[str, Scene],
    db: Database,
    stripe_control: EmulatorControl,
    screenshots: Path,
) -> None:
    address, scene = fleet
    for _ in range(3):
        scene.dead_charge(with_history=True)

    with browsing.page_of(browser, address) as page:
        browsing.log_in(page, "oda")
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Dead letters").click()
        page.get_by_role("navigation", name="Views").get_by_role("link", name="Groups").click()
        page.get_by_role("link", name="TryAgain").click()
        page.get_by_label("all 3 that match").check()
        page.get_by_label("Reason", exact=True).fill("Stripe is back")
        page.get_by_role("button", name="Preview a replay").click()
        expect(page.get_by_role("button", name="Start the replay")).to_be_visible(timeout=STEP_MS)
        expect(page.get_by_text("126.00 EUR")).to_be_visible()
        page.get_by_role("button", name="Start the replay").click()
        expect(page.get_by_text("Waiting for approval by somebody other than oda")).to_be_visible()
        browsing.shoot(page, screenshots, "journey-1-waits")
    with browsing.page_of(browser, address) as page:
        browsing.log_in(page, "ada")
        page.get_by_role("link", name="Approvals").click()
        page.get_by_role("button", name="Approve and run").click()
        expect(page.get_by_text("3 of 3 finished")).to_be_visible(timeout=STEP_MS)
        expect(page.locator("table .badge", has_text="succeeded")).to_have_count(3, timeout=STEP_MS)
        browsing.shoot(page, screenshots, "journey-2-done")

    with db.ops_transaction() as tx:
        assert dead_letter_views.count(tx, DeadLetterFilter(state="resolved")) == 3
        actions = [(entry.operator, entry.action) for entry in operator_log.latest(tx, limit=9)][::-1]
    assert actions == [("oda", "preview"), ("oda", "start"), ("ada", "approve")]
    assert len(stripe_control.effects()) == 3


def test_the_whole_way_by_keyboard_alone(
    browser: Browser, fleet: tuple[str, Scene], db: Database, stripe_control: EmulatorControl
) -> None:
    address, scene = fleet
    scene.dead_charge()

    with browsing.page_of(browser, address) as page:
        page.goto("/login")
        expect(page.locator("input[name=name]")).to_be_focused()
        page.keyboard.type("oda")
        page.keyboard.press("Tab")
        page.keyboard.type(browsing.PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/")
        page.keyboard.press("Tab")
        assert focused(page) == "Skip to content"
        tab_to(page, "Dead letters")
        page.keyboard.press("Enter")
        page.wait_for_url("**/dead-letters")
        page.keyboard.press("/")
        page.keyboard.type("503")
        page.keyboard.press("Enter")
        page.wait_for_url("**text=503**")
        tab_to(page, "Select dead letter")
        page.keyboard.press("Space")
        expect(page.get_by_text("(1)")).to_be_visible()
        tab_to(page, "Reason")
        page.keyboard.type("Stripe is back")
        page.keyboard.press("Enter")  # the first button of the form is the harmless one: preview
        page.wait_for_url("**/batches/**")
        expect(page.get_by_role("button", name="Start the replay")).to_be_visible(timeout=STEP_MS)
        tab_to(page, "Start the replay")
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 of 1 finished")).to_be_visible(timeout=STEP_MS)

    with db.ops_transaction() as tx:
        assert dead_letter_views.count(tx, DeadLetterFilter(state="resolved")) == 1
    assert len(stripe_control.effects()) == 1


def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of this name has the focus, and that focus can be seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", f"the focus on {name} cannot be seen"
            return
    raise AssertionError(f"the keyboard never comes to {name!r}")


def focused(page: Page) -> str:
    """What a screen reader would call the focused element."""
    name: str = page.evaluate(
        """() => {
            const it = document.activeElement;
            return (it.getAttribute("aria-label") || it.labels?.[0]?.innerText || it.innerText || "").trim();
        }"""
    )
    return name
