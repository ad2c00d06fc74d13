"""`fleet simulate on-sale`: plays the sale, prints what came of it, and draws pods, lag and pace."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.scaling.onsale import OnSale, OnSaleResult, scenarios

Scenes = dict[str, OnSaleResult]


def simulate(sale: OnSale, seed: int, plot: Path | None, *, as_json: bool) -> int:
    """Returns the exit code: 0 when every order was charged or is only just under way."""
    scenes = dict(scenarios(sale, seed))
    if as_json:
        print(json.dumps({name: outcome.summary() for name, outcome in scenes.items()}, indent=2))
    else:
        _show(scenes)
    if plot is not None:
        draw(scenes, sale, plot)
        Console().print(f"drawn: {plot}")
    return 0 if all(outcome.orders - outcome.charged <= sale.tail * 10 for outcome in scenes.values()) else 1


def _show(scenes: Scenes) -> None:
    table = Table(title="On-sale, simulated; the policy is read from deploy/kubernetes/base/scaling.yaml")
    table.add_column("")
    for name in scenes:
        table.add_column(name, justify="right")
    summaries = [outcome.summary() for outcome in scenes.values()]
    for key in summaries[0]:
        table.add_row(key.replace("_", " "), *(str(summary[key]) for summary in summaries))
    Console().print(table)


def draw(scenes: Scenes, sale: OnSale, file: Path) -> None:
    """SVG or PNG, by the file's name."""
    import matplotlib as mpl  # noqa: PLC0415  large, and only for this

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "on-sale"  # the same sale gives the same file
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(2, len(scenes), figsize=(6 * len(scenes), 6), sharex="col", squeeze=False)
    for column, (name, outcome) in enumerate(scenes.items()):
        floats = [look.at for look in outcome.looks]
        lag, pods = axes[0][column], axes[1][column]
        lag.set_title(name)
        lag.fill_between(
            floats, [look.waiting + look.parked for look in outcome.looks], alpha=0.25, label="sent back to its slot"
        )
        lag.fill_between(floats, [look.waiting for look in outcome.looks], alpha=0.6, label="ready in the queue")
        lag.set_ylabel("orders not charged yet")
        lag.axvline(sale.ramp_seconds + sale.hold_seconds, linestyle=":", color="grey", label="the rush is over")
        lag.axvline(outcome.drained_at, linestyle="--", color="green", label=f"drained at {outcome.drained_at:.0f} s")
        lag.legend(fontsize=8)
        pods.step(floats, [look.pods for look in outcome.looks], where="post")
        pods.set_ylabel("pods of workers-charges")
        pods.set_xlabel("seconds since the doors opened")
        pods.set_ylim(bottom=0)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)
