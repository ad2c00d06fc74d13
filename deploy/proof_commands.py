"""The proofs of `fleet prove NAME`. Each function imports its proof only when it runs (deploy/cli.py)."""

# ruff: noqa: PLC0415  imports inside the functions are the point of this file

from collections.abc import Callable
from typing import Annotated

import typer

Orders = Annotated[int, typer.Option(min=1, max=1_000_000, help="number of valid orders to publish")]
Resales = Annotated[int, typer.Option(min=0, max=1_000_000, help="number of those orders that are resold")]
Groups = Annotated[int, typer.Option(min=0, max=100_000, help="number of group payments")]
PerSecond = Annotated[float, typer.Option("--rate", min=0.1, max=5_000, help="events published per second")]
Seed = Annotated[int, typer.Option(help="random seed; the same seed repeats the same run")]
Faults = Annotated[bool, typer.Option(help="let the Stripe emulator drop responses, fail, and reorder webhooks")]
Keep = Annotated[bool, typer.Option("--keep", help="leave the fleet running afterwards")]
AsJson = Annotated[bool, typer.Option("--json", help="print lost, duplicated, unexpected, unexplained_minor as JSON")]
Minutes = Annotated[float, typer.Option(min=0.5, max=600, help="start no new fault after this time")]
Only = Annotated[str, typer.Option(metavar="CASE,CASE", help="run only these cases, by key or number")]
ListCases = Annotated[bool, typer.Option("--list", help="list all cases and exit")]
PlainJson = Annotated[bool, typer.Option("--json", help="print JSON")]
WritePage = Annotated[bool, typer.Option("--write", help="write the results to deploy/docs/alerts-proof.md")]


def demo(orders: Orders = 400, rate: PerSecond = 25, seed: Seed = 7, faults: Faults = True, keep: Keep = False) -> None:
    """Start the fleet, run a seeded on-sale, show its progress, and verify the result."""
    from deploy.local.proofs.demo.proof import Plan, prove

    raise typer.Exit(prove(Plan(orders=orders, rate=rate, seed=seed, faults=faults, keep=keep)))


def day(orders: Orders = 5_000, rate: PerSecond = 25, seed: Seed = 7, keep: Keep = False) -> None:
    """Run a seeded day of sales, refunds, disputes, lost webhooks and payouts, and reconcile the books."""
    from deploy.local.proofs.day import Plan, prove

    raise typer.Exit(prove(Plan(orders=orders, rate=rate, seed=seed, keep=keep)))


def shares_proof(
    sales: Orders = 3_000,
    resales: Resales = 1_000,
    groups: Groups = 100,
    rate: PerSecond = 25,
    seed: Seed = 7,
    keep: Keep = False,
) -> None:
    """Run seeded sales, resales, refunds, disputes and payouts; verify that every party received exactly its share."""
    from deploy.local.proofs.shares import Plan, prove

    raise typer.Exit(prove(Plan(sales=sales, resales=resales, groups=groups, rate=rate, seed=seed, keep=keep)))


def chaos(
    seed: Seed = 1,
    minutes: Minutes = 10,
    orders: Orders = 2000,
    only: Only = "",
    as_json: AsJson = False,
    show_list: ListCases = False,
) -> None:
    """Inject every known fault under load, in a seeded order, and verify the result after each."""
    from deploy.local.proofs.chaos.plan import Plan
    from deploy.local.proofs.chaos.run import list_cases, prove

    keys = tuple(key.strip() for key in only.split(",") if key.strip())
    raise typer.Exit(list_cases() if show_list else prove(Plan(seed, minutes, orders, keys), as_json=as_json))


def autoscale_proof(seed: Seed = 1, orders: Orders = 400, as_json: PlainJson = False) -> None:
    """Autoscale real workers on this machine under a burst of orders, with the manifests' policy, and verify."""
    from deploy.local.proofs.autoscale import prove

    raise typer.Exit(prove(seed, orders, as_json=as_json))


def mints_proof(
    tickets: Annotated[int, typer.Option(min=1, max=1_000_000, help="number of paid tickets")] = 2_000,
    minters: Annotated[int, typer.Option(min=1, max=32, help="number of concurrent minters")] = 8,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Mint thousands of paid tickets while processes crash and the chain fails, and verify the number of tokens."""
    from deploy.local.proofs.mints.proof import Plan, prove

    raise typer.Exit(prove(Plan(tickets, minters, seed), as_json=as_json))


def alerts_proof(only: Only = "", write: WritePage = False) -> None:
    """Trigger every alert on a separate stack with a real Prometheus, and list those that fired."""
    from deploy.local.proofs.alerts.proof import prove

    raise typer.Exit(prove(only, write=write))


# `fleet prove NAME`, and the name that the same command had before, which stays.
PROOFS: dict[str, tuple[str, Callable[..., None]]] = {
    "demo": ("demo", demo),
    "day": ("day", day),
    "shares": ("shares-proof", shares_proof),
    "chaos": ("chaos", chaos),
    "autoscale": ("autoscale-proof", autoscale_proof),
    "mints": ("mints-proof", mints_proof),
    "alerts": ("alerts-proof", alerts_proof),
}
