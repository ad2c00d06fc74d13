"""Writes deploy/grafana/dashboards/*.json from boards.py, as Grafana's file provisioning reads them."""

import json
import sys
from pathlib import Path
from typing import Any

from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import Board, Panel

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
ROW_HEIGHT, STAT_HEIGHT = 8, 4


def documents() -> dict[str, str]:
    """File name -> text."""
    return {f"{board.uid}.json": json.dumps(dashboard(board), indent=2) + "\n" for board in BOARDS}


def dashboard(board: Board) -> dict[str, Any]:
    return {
        "uid": board.uid,
        "title": board.title,
        "tags": ["payment-fleet"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "15s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "utc",
        "panels": _panels(board),
    }


def _panels(board: Board) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in board.rows:
        panels.append(
            {
                "type": "row",
                "title": title,
                "id": len(panels) + 1,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
            }
        )
        height = STAT_HEIGHT if all(panel.kind == "stat" for panel in row) else ROW_HEIGHT
        left = 0
        for panel in row:
            place = {"x": left, "y": top + 1, "w": panel.width, "h": height}
            panels.append(_panel(panel) | {"id": len(panels) + 1, "gridPos": place})
            left += panel.width
        top += 1 + height
    return panels


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        style = "off" if panel.red_from is None else "dashed"
        defaults["custom"] = {"fillOpacity": 8, "showPoints": "never", "thresholdsStyle": {"mode": style}}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": query.expr, "legendFormat": query.legend}
            for place, query in enumerate(panel.queries)
        ],
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}


def main() -> int:
    for name, text in documents().items():
        (FOLDER / name).write_text(text)
    print(f"{len(BOARDS)} dashboards")
    return 0


if __name__ == "__main__":
    sys.exit(main())
