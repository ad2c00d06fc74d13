"""`fleet prove alerts` forgets no alert, hurries every rule, and its receivers refuse what nobody could act on."""

import json

import pytest

from deploy.local.proofs.alerts import page
from deploy.local.proofs.alerts.impatience import FORS, alerts, impatient
from deploy.local.proofs.alerts.provoking import PROVOCATIONS
from deploy.local.proofs.alerts.receiver import PAGERDUTY_PATH, ROUTING_KEY, SLACK_PATH, Receiver
from deploy.local.proofs.alerts.result import Fired, Result

LINK = "https://runbooks.test/page.md"
PAYLOAD = {"summary": "No process reaches it", "source": "here", "severity": "critical", "class": "FleetX"}
PAGE = {
    "routing_key": ROUTING_KEY,
    "event_action": "trigger",
    "dedup_key": "1",
    "payload": PAYLOAD,
    "links": [{"href": LINK, "text": "Runbook"}],
}
TICKET = {"attachments": [{"title": "FleetX", "text": "something waits", "title_link": LINK}]}


def test_each_alert_has_a_provocation() -> None:
    assert {alert for each in PROVOCATIONS for alert in each.alerts} == set(alerts())


def test_every_rule_is_hurried() -> None:
    """A new window, a new `for`, or another threshold of an age fails here, and not in a proof of half an hour."""
    fors = {rule["for"] for group in impatient()["groups"] for rule in group["rules"] if "for" in rule}

    assert fors == set(FORS.values())


@pytest.mark.parametrize(
    ("path", "good", "change", "why"),
    [
        (PAGERDUTY_PATH, PAGE, {"payload": PAYLOAD | {"summary": ""}}, "missing or wrong: payload.summary"),
        (PAGERDUTY_PATH, PAGE, {"links": [{"href": "runbooks/page.md"}]}, "missing or wrong: links"),
        (PAGERDUTY_PATH, PAGE, {"routing_key": "of another service"}, "missing or wrong: routing_key"),
        (SLACK_PATH, TICKET, {"attachments": [{"title": "FleetX", "text": "waits"}]}, "missing: title_link"),
    ],
)
def test_a_receiver_takes_what_is_whole_and_refuses_the_rest(
    path: str, good: dict[str, object], change: dict[str, object], why: str
) -> None:
    here = Receiver(0)

    assert here.take(path, json.dumps(good).encode()) == ""
    assert here.take(path, json.dumps(good | change).encode()) == why
    first, second = here.notifications
    assert (first.alert, first.link, first.is_taken) == ("FleetX", LINK, True)
    assert not second.is_taken


def test_the_page_names_what_did_not_fire_and_whom_nobody_told() -> None:
    result = Result(missing={"FleetLoopStands": "it stands"})
    result.note("FleetBrokerAway", Fired("it is killed", "No process", "", moved_time=True))

    lines = page.of(result).splitlines()

    assert "| FleetLoopStands | it stands | | **did not fire** |" in lines
    assert "| FleetBrokerAway | it is killed *(time moved)* | **nobody** | No process |" in lines
    assert not result.is_well
