"""The rules for a proof of minutes: the same conditions, looked at over seconds.

Each change stands here by itself, so that the report can say what was not as in production. No condition is turned, and
a threshold changes only where it is an age that nobody can wait for.
"""

import re
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).resolve().parents[3] / "prometheus" / "rules.yaml"
# Windows of rates. The longest windows of the service levels become the same minute.
WINDOWS = {
    "5m": "20s",
    "10m": "20s",
    "30m": "30s",
    "1h": "40s",
    "6h": "50s",
    "3d": "60s",
    "2m": "10s",
    "2m:15s": "8s:1s",
}
# Ages, in seconds, by alert: far above what a fleet that is well needs on two busy cores, and within a minute.
AGES = {
    "FleetPaymentsStand": ("> 900", "> 15"),
    "FleetRefundsStand": ("> 7200", "> 15"),
    "FleetWorkOld": ("> 300", "> 15"),
    "FleetWebhooksUnmatched": ("> 600", "> 6"),
    "FleetOldSnapshot": ("> 900", "> 6"),
    "FleetLoopStands": ("> 60", "> 20"),
    "FleetMintsStand": ("> 3600", "> 15"),
}
# How long a condition holds before it fires. Not left out: what is true for a moment is no alert in production either.
# Longer ones stay longer, so that a database that is away is reported before what follows from it.
FORS = {"1m": "1s", "2m": "4s", "3m": "5s", "5m": "5s", "10m": "6s", "15m": "6s", "1h": "6s"}


def impatient() -> Any:
    """The content of rules.yaml, in a hurry."""
    content = yaml.safe_load(RULES.read_text())
    for group in content["groups"]:
        for rule in group["rules"]:
            rule["expr"] = re.sub(r"\[([\w:]+)\]", lambda found: f"[{WINDOWS[found[1]]}]", rule["expr"])
            if rule.get("alert") in AGES:
                patient, hurried = AGES[rule["alert"]]
                assert patient in rule["expr"], f"the threshold of {rule['alert']} has changed: change it here as well"
                rule["expr"] = rule["expr"].replace(patient, hurried)
            if "for" in rule:
                rule["for"] = FORS[rule["for"]]
    return content


def alerts() -> list[str]:
    """The names of all alerts, in their order."""
    content = yaml.safe_load(RULES.read_text())
    return [rule["alert"] for group in content["groups"] for rule in group["rules"] if "alert" in rule]
