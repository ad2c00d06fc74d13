"""Dashboards as code: the files are what the code says, and every panel asks for metrics that there are."""

import json
import re
import subprocess
from pathlib import Path

import yaml

from deploy import metrics_page
from deploy.grafana import build
from deploy.grafana.boards import BOARDS
from tests.deploy.test_alerts import ROOT, RULES, tool


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


def test_every_query_is_one_that_prometheus_can_read(tmp_path: Path) -> None:
    queries = [query for board in BOARDS for _, row in board.rows for panel in row for query in panel.queries]
    rules = [{"record": f"panel:{number}", "expr": query.expr} for number, query in enumerate(queries)]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    read = subprocess.run(
        [tool("promtool"), "check", "rules", "panels.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert read.returncode == 0, read.stderr
    assert len(rules) > 30


def test_grafana_finds_dashboards_and_prometheus_where_compose_puts_them() -> None:
    provisioning = build.FOLDER.parent / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "fleet.yaml").read_text())["providers"]
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    mounts = dict(mount.split(":")[:2] for mount in services["grafana"]["volumes"])

    assert source["url"] == "http://prometheus:9090"
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert {"inside", "edge"} == set(services["grafana"]["networks"])
    assert "inside" in services["prometheus"]["networks"]
    asked = {
        target["datasource"]["uid"]
        for text in build.documents().values()
        for panel in json.loads(text)["panels"]
        for target in panel.get("targets", [])
    }
    assert asked == {source["uid"]}
