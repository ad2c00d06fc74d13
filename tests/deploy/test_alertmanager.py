"""What a person hears: a real Alertmanager with our configuration, and receivers that refuse what theirs would."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from deploy.local.proofs.alerts.alertmanager import CONFIG, PROGRAMS, Alertmanager
from deploy.local.proofs.alerts.receiver import receiver
from deploy.local.stack.memory import Memory
from tests.waiting import until

RUNBOOKS = "https://runbooks.test"


class Impatient(Alertmanager):
    """The same, but it waits for nothing before it tells."""

    def _addressed(self) -> Any:
        config = super()._addressed()
        for route in (config["route"], *config["route"]["routes"]):
            route["group_wait"] = "1s"
        return config


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    if not any(map(shutil.which, PROGRAMS)):
        pytest.skip("Alertmanager is not installed: run `sh deploy/local/setup.sh prometheus` where apt is to be had")
    directory = tmp_path_factory.mktemp("alertmanager")
    memory = Memory(directory)
    with receiver(memory.port("receiver")) as receiving:
        server = Impatient(directory, memory, receiving)
        server.start()
        yield server
        server.stop()


def fire(alertmanager: Alertmanager, *alerts: tuple[str, str, str]) -> None:
    """As Prometheus sends them: name, severity and summary of each."""
    body = [
        {
            "labels": {"alertname": name, "severity": severity, "actor": summary},
            "annotations": {"summary": summary, "runbook_url": f"{RUNBOOKS}/page.md#{name.lower()}"},
            "startsAt": datetime.now(UTC).isoformat(),
        }
        for name, severity, summary in alerts
    ]
    answer = urllib3.request(
        "POST",
        f"{alertmanager.url}/api/v2/alerts",
        body=json.dumps(body),
        headers={"content-type": "application/json"},
    )
    assert answer.status == 200, answer.data


def test_a_page_reaches_pagerduty_with_its_summary_and_a_link_and_a_ticket_slack(alertmanager: Alertmanager) -> None:
    fire(alertmanager, ("FleetLoopStands", "page", "A loop stands"), ("FleetConsoleAway", "ticket", "No console runs"))

    until(lambda: len(alertmanager.receiver.notifications) == 2, seconds=10)
    page, ticket = sorted(alertmanager.receiver.notifications, key=lambda each: each.by)
    assert (page.by, page.alert, page.text) == ("PagerDuty", "FleetLoopStands", "A loop stands")
    assert page.link == f"{RUNBOOKS}/page.md#fleetloopstands"
    assert (ticket.by, ticket.alert) == ("Slack", "FleetConsoleAway")
    assert ticket.text.strip() == f"No console runs ({RUNBOOKS}/page.md#fleetconsoleaway)"
    assert ticket.link == f"{RUNBOOKS}/page.md#fleetconsoleaway"
    assert page.is_taken
    assert ticket.is_taken


def test_pages_of_one_name_are_one_incident_that_has_a_summary(alertmanager: Alertmanager) -> None:
    alertmanager.start_afresh()

    fire(alertmanager, *(("FleetMoneyDeadLetter", "page", f"3 dead letters of {one}") for one in ("charge", "refund")))

    until(lambda: alertmanager.receiver.notifications, seconds=10)
    (page,) = alertmanager.receiver.notifications
    assert page.is_taken
    assert page.text == "3 dead letters of charge (and more: 2 in all)"


def test_what_follows_from_a_database_that_is_away_stays_quiet(alertmanager: Alertmanager) -> None:
    alertmanager.start_afresh()

    fire(
        alertmanager,
        ("FleetDatabaseAway", "page", "No process reaches the database"),
        ("FleetCollectorBlind", "page", "No scheduler shows how the fleet stands"),
        ("FleetRelayStands", "page", "The relay publishes nothing"),
        ("FleetLoopStands", "page", "A loop stands"),
    )

    until(lambda: len(alertmanager.whereabouts()) == 4, seconds=10)
    assert alertmanager.whereabouts() == {
        "FleetDatabaseAway": "PagerDuty",
        "FleetLoopStands": "PagerDuty",
        "FleetCollectorBlind": "silenced by FleetDatabaseAway",
        "FleetRelayStands": "silenced by FleetDatabaseAway",
    }


def test_who_silences_and_who_is_silenced_are_alerts_that_there_are() -> None:
    rules = yaml.safe_load((Path(CONFIG).parent / "rules.yaml").read_text())
    names = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    matchers = [
        matcher
        for rule in yaml.safe_load(CONFIG.read_text())["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
    ]

    for matcher in matchers:
        for pattern in re.split(r"\|(?![^(]*\))", matcher.partition("=")[2].lstrip("~").strip('"')):
            assert any(re.fullmatch(pattern, name) for name in names), f"{pattern} in {matcher} is no alert"
