"""A stand-in for Grafana, which is in no package index here: the dashboards' queries, asked of a real Prometheus, drawn
as plain SVG on one page for each dashboard. It shows that queries bring lines and that titles and units make sense, and
nothing of how Grafana itself draws.

    python -m deploy.local.proofs.alerts.draw http://127.0.0.1:PORT FOLDER [MINUTES]
"""

import html
import json
import sys
import time
from pathlib import Path
from typing import Any

import urllib3

from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import Board, Panel

COLOURS = ("#5794f2", "#ff9830", "#73bf69", "#f2495c", "#b877d9", "#fade2a", "#8ab8ff", "#ffb357", "#96d98d", "#ff7383")
WIDTH, HEIGHT, MOST_LINES = 400, 170, 12

Series = tuple[str, list[tuple[float, float]]]


def ask(prometheus: str, panel: Panel, minutes: float) -> list[Series]:
    now = time.time()
    found: list[Series] = []
    for query in panel.queries:
        fields = {"query": query.expr, "start": str(now - minutes * 60), "end": str(now), "step": "5"}
        answer = urllib3.request("GET", f"{prometheus}/api/v1/query_range", fields=fields)
        results = json.loads(answer.data)["data"]["result"]
        found += [(_legend(query.legend, series["metric"]), _points(series["values"])) for series in results]
    return found[:MOST_LINES]


def _points(values: list[list[Any]]) -> list[tuple[float, float]]:
    return [(at, float(value)) for at, value in values if value not in {"NaN", "+Inf"}]


def _legend(form: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        form = form.replace("{{" + name + "}}", value)
    return form or "value"


def page(board: Board, prometheus: str, minutes: float) -> str:
    rows = "".join(
        f"<h2>{html.escape(title)}</h2><div class=row>"
        + "".join(_box(panel, ask(prometheus, panel, minutes), minutes) for panel in panels)
        + "</div>"
        for title, panels in board.rows
    )
    style = (
        "body{background:#111217;color:#ccd;font:13px sans-serif;margin:16px}.row{display:flex;gap:8px;flex-wrap:wrap}"
        ".box{background:#181b1f;border:1px solid #2c3235;padding:8px}h2{font-size:14px}"
        "h3{font-size:12px;margin:0 0 4px}small{display:block;max-width:400px;color:#99a}"
        ".big{font-size:34px;padding:16px;min-width:150px}"
    )
    return f"<meta charset=utf-8><style>{style}</style><h1>{html.escape(board.title)} (stand-in)</h1>{rows}"


def _box(panel: Panel, series: list[Series], minutes: float) -> str:
    title = f"<h3>{html.escape(panel.title)} [{panel.unit}]</h3>"
    lines = [line for line in series if line[1]]
    if panel.kind == "stat":
        value = f"{lines[0][1][-1][1]:.4g}" if lines else "no data"
        return f"<div class=box>{title}<div class=big>{value}</div></div>"
    if not lines:
        return f"<div class=box>{title}<svg width={WIDTH} height={HEIGHT}></svg><small>no data</small></div>"
    top = max(max(value for _, value in points) for _, points in lines) or 1.0
    end = max(points[-1][0] for _, points in lines)
    drawn = "".join(
        f"<polyline fill=none stroke='{COLOURS[place % len(COLOURS)]}' points='"
        + " ".join(
            f"{WIDTH - (end - at) / (minutes * 60) * WIDTH:.1f},{HEIGHT - 5 - value / top * (HEIGHT - 15):.1f}"
            for at, value in points
        )
        + "'/>"
        for place, (_, points) in enumerate(lines)
    )
    names = " ".join(
        f"<span style='color:{COLOURS[place % len(COLOURS)]}'>{html.escape(name)}</span>"
        for place, (name, _) in enumerate(lines)
    )
    svg = f"<svg width={WIDTH} height={HEIGHT}><text x=2 y=10 fill='#99a' font-size=10>{top:.4g}</text>{drawn}</svg>"
    return f"<div class=box>{title}{svg}<small>{names}</small></div>"


def main(prometheus: str, folder: str, minutes: str = "8") -> int:
    for board in BOARDS:
        path = Path(folder) / f"{board.uid}.html"
        path.write_text(page(board, prometheus, float(minutes)))
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
