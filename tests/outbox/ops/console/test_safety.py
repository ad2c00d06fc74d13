"""Forms cannot be forged, headers are strict, what came from outside stays text, and no Stripe key is near."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

from db.dead_letters import replay_batches
from db.dead_letters import views as dead_letter_views
from db.dead_letters.views import DeadLetterFilter
from db.session import Database
from outbox.ops.console.request_context import Services
from outbox.ops.session import Operator
from outbox.requests.operators import replays
from tests import tokens
from tests.outbox.ops.console.conftest import hidden_fields
from tests.outbox.ops.console.scene import Scene
from tests.tokens import Keys

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7*7 }}"


@pytest.fixture
def scene(db: Database, owner: psycopg.Connection, seal: tuple[str, str]) -> Scene:
    return Scene.set(db, owner, seal[0])


def discard_everything(token: str | None = None) -> dict[str, str]:
    fields = {"scope": "filter", "reason": "because", "confirmed": "yes"}
    return fields | ({"csrf_token": token} if token else {})


def still_open(db: Database) -> int:
    with db.ops_transaction() as tx:
        return dead_letter_views.count(tx, DeadLetterFilter())


@pytest.mark.parametrize("token", [None, "0" * 64, "x"])
def test_a_form_without_its_token_decides_nothing(as_: Any, db: Database, scene: Scene, token: str | None) -> None:
    scene.dead_charge()
    oda = as_("oda", "operator")
    oda.get("/")

    assert oda.client.post("/dead-letters/discard", data=discard_everything(token)).status_code == 403
    assert still_open(db) == 1


def test_a_token_of_another_person_or_another_browser_decides_nothing(as_: Any, db: Database, scene: Scene) -> None:
    scene.dead_charge()
    oda, otto = as_("oda", "operator"), as_("otto", "operator")
    of_oda = hidden_fields(oda.get("/batches").text)
    of_oda |= hidden_fields(oda.get(f"/dead-letters/{first_letter(db)}").text)
    otto.get("/")
    otto_in_odas_browser = as_("otto", "operator")
    otto_in_odas_browser.client.cookies.set("fleet_csrf", oda.client.cookies["fleet_csrf"])

    stolen = discard_everything(of_oda["csrf_token"])
    assert otto.client.post("/dead-letters/discard", data=stolen).status_code == 403
    assert otto_in_odas_browser.client.post("/dead-letters/discard", data=stolen).status_code == 403
    assert still_open(db) == 1


def test_a_form_sent_by_another_site_decides_nothing(as_: Any, db: Database, scene: Scene) -> None:
    letter = scene.dead_charge()
    oda = as_("oda", "operator")
    token = hidden_fields(oda.get(f"/dead-letters/{letter}").text)["csrf_token"]

    answer = oda.client.post(
        "/dead-letters/discard", data=discard_everything(token), headers={"sec-fetch-site": "cross-site"}
    )

    assert answer.status_code == 403
    assert still_open(db) == 1


def test_a_decision_is_never_a_get(as_: Any) -> None:
    assert as_("oda", "operator").get("/dead-letters/discard").status_code == 405


def test_cookies_are_out_of_reach_for_scripts_and_other_sites(nobody: TestClient, keys: Keys) -> None:
    nobody.base_url = "https://console.example"  # type: ignore[assignment]
    answer = nobody.get("/payments", headers={"authorization": f"Bearer {tokens.token(keys)}"})

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-fleet_csrf=")
    for word in ("HttpOnly", "SameSite=strict", "Secure", "Path=/"):
        assert word in cookie


def test_every_answer_carries_the_strict_headers(as_: Any, nobody: TestClient) -> None:
    answers = [as_("rita", "reader").get("/"), nobody.get("/nowhere"), nobody.get("/static/console.css?v=1")]

    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
    assert [answer.headers["cache-control"] for answer in answers[:2]] == ["no-store", "no-store"]
    assert "immutable" in answers[2].headers["cache-control"]


def test_templates_hold_no_inline_script_style_or_handler() -> None:
    for template in (files("outbox.ops.console") / "templates").iterdir():
        text = template.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:|\|\s*safe", text), template.name
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), template.name
        assert not re.search(r"(src|href)=\"(https?:)?//", text), template.name
        if "htmx-config" in text:
            assert '"allowEval":false' in text
            assert '"includeIndicatorStyles":false' in text


def test_what_came_from_outside_is_shown_as_text_on_every_page(
    as_: Any, db: Database, services: Services, scene: Scene, owner: psycopg.Connection
) -> None:
    evil = {"kind": EVIL, "reason": EVIL, "error_class": EVIL, "top_frame": EVIL, "queue": EVIL}
    letter = scene.bury(source="orders", payload=json.dumps({"a": EVIL}), original=b"evil", headers={"h": EVIL}, **evil)
    oda = as_("oda", "operator")
    with Operator(services.db, services.ops, "oda").transaction() as acting:
        batch, _ = replays.preview(acting, DeadLetterFilter(ids=(letter,)), reason=EVIL)
    with db.system_transaction() as tx:
        replay_batches.classify(tx, batch, letter, class_="must_not", proof=EVIL, amount_minor=None, currency=None)
    owner.execute("UPDATE tenants SET name = %s", [EVIL])
    services.sampler.look()

    paths = ["/", "/dead-letters", "/dead-letters/groups", f"/dead-letters/{letter}", "/batches", f"/batches/{batch}"]
    for path in [*paths, "/operator-log", "/queues", f"/payments?q={EVIL}", f"/dead-letters?text={EVIL}&kind={EVIL}"]:
        page = oda.get(path)
        assert page.status_code == 200, path
        assert dangerous(page.text) == [], path


def dangerous(page: str) -> list[str]:
    """Elements that only our payload could have made."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            if (tag == "script" and not (given.get("src") or "").startswith("/static/")) or "onerror" in given:
                found.append(str(self.get_starttag_text()))

    Reader().feed(page)
    return found + ["49"] * ("7*7" not in page and EVIL[:8] in page)


def test_the_console_loads_nothing_that_knows_a_stripe_key() -> None:
    program = (
        "import outbox.ops.console.__main__, sys;"
        "print([name for name in sys.modules if name.split('.')[0] in {'stripe', 'stripe_client', 'workers'}])"
    )

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    budget = "stripe_client.rate_limit"  # the shared budget as the cache has it, without a key
    assert loaded.stdout.strip() == str(["stripe_client", budget, f"{budget}.shared_budget"])


def first_letter(db: Database) -> object:
    with db.ops_transaction() as tx:
        return dead_letter_views.find(tx, DeadLetterFilter(), limit=1)[0].dead_letter_id
