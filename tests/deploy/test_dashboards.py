"""Dashboards as code: the files are what the code says, and every panel asks for metrics that there are."""

import json
import re

from deploy import metrics_page
from deploy.grafana import build
from deploy.grafana.boards import BOARDS
from tests.deploy.test_alerts import RULES


def test_the_committed_dashboards_are_not_stale() -> None:
    assert {path.name: path.read_text() for path in build.FOLDER.glob("*.json")} == build.documents()  # `make docs`


def test_panels_ask_only_for_metrics_that_there_are() -> None:
    known = {line.name for line in metrics_page.lines()} | {rule["record"] for rule in RULES if "record" in rule}
    histograms = {line.name for line in metrics_page.lines() if line.kind == "histogram"}
    known |= {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    queries = [query for board in BOARDS for _, row in board.rows for panel in row for query in panel.queries]

    asked = {name for query in queries for name in re.findall(r"\bfleet[_:][a-z0-9_:]+", query.expr)}

    assert asked <= known


def test_panels_of_a_row_fit_beside_one_another() -> None:
    for text in build.documents().values():
        for panel in json.loads(text)["panels"]:
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, panel["title"]
