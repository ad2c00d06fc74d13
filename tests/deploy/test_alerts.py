"""Each alert fires once in promtool's own test, is routed, and leads to a page that is there."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import metrics_page

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "deploy" / "runbooks"
TESTS = ("rules_test.yaml", "rules_long_test.yaml")


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


RULES: list[dict[str, Any]] = [rule for group in read("rules.yaml")["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: run `sh deploy/local/setup.sh prometheus` where apt is to be had")
    return path


@pytest.mark.parametrize("name", TESTS)
def test_every_alert_fires_when_it_should_and_none_while_all_is_well(name: str) -> None:
    ran = subprocess.run(
        [tool("promtool"), "test", "rules", name], cwd=FOLDER, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_alert_is_without_a_test() -> None:
    fired = {
        check["alertname"]
        for name in TESTS
        for test in read(name)["tests"]
        for check in test["alert_rule_test"]
        if check["exp_alerts"]
    }

    assert fired == {alert["alert"] for alert in ALERTS}


def test_configurations_are_sound_and_pages_go_to_pagerduty() -> None:
    subprocess.run([tool("promtool"), "check", "config", "--syntax-only", "prometheus.yaml"], cwd=FOLDER, check=True)
    subprocess.run([tool("amtool"), "check-config", "alertmanager.yaml"], cwd=FOLDER, check=True)
    for severity, receiver in (("page", "pagerduty"), ("ticket", "tickets")):
        command = [
            tool("amtool"),
            "config",
            "routes",
            "test",
            "--config.file=alertmanager.yaml",
            f"severity={severity}",
        ]
        assert (
            subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True).stdout.strip() == receiver
        )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_and_leads_to_its_place_in_a_runbook(alert: dict[str, Any]) -> None:
    base, _, place = alert["annotations"]["runbook_url"].partition("/")
    page, _, anchor = place.partition("#")

    assert base == "{{ $externalLabels.runbooks }}"
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"]["summary"]
    assert not anchor or anchor in anchors_of(RUNBOOKS / page)
    assert (RUNBOOKS / page).is_file()


def configurations_of_prometheus() -> list[str]:
    return sorted(path.name for path in FOLDER.glob("*.yaml") if "alerting" in (read(path.name) or {}))


@pytest.mark.parametrize("name", configurations_of_prometheus())
def test_links_to_runbooks_lead_to_an_address_that_is_no_part_of_an_alert(name: str) -> None:
    config = read(name)

    assert config["global"]["external_labels"]["runbooks"].startswith("https://")
    assert {"action": "labeldrop", "regex": "runbooks"} in config["alerting"]["alert_relabel_configs"]


def anchors_of(page: Path) -> set[str]:
    """As GitHub makes them of headings, and those that stand there as <a id>."""
    text = page.read_text()
    headings = {re.sub(r"[^\w\- ]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in heads(text)}
    return headings | set(re.findall(r'<a id="([^"]+)">', text))


def heads(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line.startswith("#"))


def test_rules_ask_only_for_metrics_that_there_are() -> None:
    known = {line.name for line in metrics_page.lines()}
    histograms = {line.name for line in metrics_page.lines() if line.kind == "histogram"}
    known |= {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}

    asked = {name for rule in RULES for name in re.findall(r"\bfleet_[a-z_]+", rule["expr"])}

    assert asked <= known
