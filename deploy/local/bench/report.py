"""The table a person reads and the file a machine reads."""

import json
import os
import platform
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.local.bench.measures import Measure

HEAD = ("measure", "median", "min", "max", "unit", "goal", "met", "note")


def write(measures: list[Measure], out: Path, *, seconds: float) -> None:
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    content = {
        "machine": machine,
        "seconds": round(seconds, 1),
        "measures": [measure.as_json() for measure in measures],
    }
    out.write_text(json.dumps(content, indent=2) + "\n")


def show(measures: list[Measure]) -> None:
    """A table in a terminal, one plain line per measure elsewhere."""
    console = Console()
    if not console.is_terminal:
        for measure in measures:
            print(" | ".join(_cells(measure)))
        return
    table = Table(*HEAD)
    for measure in measures:
        table.add_row(*_cells(measure), style={False: "red", True: "green", None: ""}[measure.met])
    console.print(table)


def _cells(measure: Measure) -> tuple[str, ...]:
    figures = (measure.median, min(measure.passes), max(measure.passes))
    met = {True: "yes", False: "NO", None: ""}[measure.met]
    return (
        measure.name,
        *map(_short, figures),
        measure.unit,
        str(measure.goal) if measure.goal else "",
        met,
        measure.note,
    )


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"
