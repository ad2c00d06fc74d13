"""`fleet capacity`: the plan as a table for people, or as JSON."""

import json

from rich.console import Console
from rich.table import Table

from deploy.capacity.plan import Plan, Site, measured, plan


def capacity(rate: float, site: Site, *, as_json: bool) -> int:
    """Returns the exit code: 0 when what there is holds, 1 when something breaks before."""
    found = plan(rate, site, measured())
    if as_json:
        print(json.dumps({**found.as_json(), "measured": measured()["source"]}, indent=2))
    else:
        _show(found)
    return 0 if found.holds else 1


def _show(found: Plan) -> None:
    screen = Console()
    table = Table(title=f"{found.orders_per_second:g} orders a second")
    for heading in ("what", "needed", "there is", "stands", "if it is too little"):
        table.add_column(heading)
    for bound in sorted(found.bounds, key=lambda bound: bound.most_per_second):
        short = bound.most_per_second < found.orders_per_second
        mark = "" if not short else "[yellow]" if bound.can_wait else "[red]"
        table.add_row(mark + bound.name, bound.needed, bound.there_is, f"{bound.most_per_second:.0f}/s", bound.advice)
    screen.print(table)
    screen.print("Pods: " + ", ".join(f"{name} {count}" for name, count in found.pods.items()))
    screen.print(
        "Database: " + ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in found.database.items())
    )
    first = found.breaks_first
    screen.print(f"Breaks first: {first.name}, at {first.most_per_second:.0f} orders a second: {first.advice}.")
    source = f"{measured()['source']} ({measured()['machine']}, load {measured()['load_average']:g})"
    assumed = found.assumed
    screen.print(
        f"Measured: {source}. Assumed: Stripe answers in {assumed['stripe_seconds']:g} s, no core is filled beyond "
        f"{assumed['fullest']:.0%}, charges are {assumed['share_of_charges']:.0%} of the workers' CPU."
    )
