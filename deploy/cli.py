"""The `fleet` command. One function a subcommand, which imports its own room only when it is used: `fleet up` needs no
worker, and a broken room breaks its own subcommand alone.
"""

# ruff: noqa: PLC0415  imports inside the functions are the point of this file

import os
import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from outbox.ops import cli

WORKSHOP = "deploy.local"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The payment fleet.")
tenants = typer.Typer(no_args_is_help=True, help="Tenants, their venues and fee plans.")
app.add_typer(tenants, name="tenants")
api = typer.Typer(no_args_is_help=True, help="The API in front.")
app.add_typer(api, name="api")
schema = typer.Typer(no_args_is_help=True, help="The schema of the database.")
app.add_typer(schema, name="schema")
simulation = typer.Typer(no_args_is_help=True, help="What cannot be run here, in simulated time.")
app.add_typer(simulation, name="simulate")

Local = Annotated[bool, typer.Option("--local", help="use the addresses of the one-machine stack in this clone")]
Scale = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COUNT", help="run COUNT processes of a Procfile line, or of a class of queues such as charges"
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help="return when it is ready and leave it running")]
Orders = Annotated[int, typer.Option(min=1, max=1_000_000, help="good orders to publish")]
Resales = Annotated[int, typer.Option(min=0, max=1_000_000, help="of them sold again")]
Groups = Annotated[int, typer.Option(min=0, max=100_000, help="groups that pay one order in shares")]
PerSecond = Annotated[float, typer.Option("--rate", min=0.1, max=5_000, help="events published a second")]
Seed = Annotated[int, typer.Option(help="the same seed tells the same story")]
Faults = Annotated[bool, typer.Option(help="let the emulator lose answers, fail, and shuffle webhooks, by the seed")]
Keep = Annotated[bool, typer.Option("--keep", help="leave the fleet running afterwards")]
OrderLog = Annotated[Path | None, typer.Option("--orders", help="the order service's own log, to compare with")]
AsJson = Annotated[bool, typer.Option("--json", help="print lost, duplicated, unexpected, unexplained_minor as JSON")]
Quick = Annotated[bool, typer.Option("--quick", help="two small passes instead of five")]
Out = Annotated[Path, typer.Option(help="where the figures go")]
Minutes = Annotated[float, typer.Option(min=0.5, max=600, help="no new fault is begun after so long")]
Only = Annotated[str, typer.Option(metavar="CASE,CASE", help="play these once, by key or number")]
ListCases = Annotated[bool, typer.Option("--list", help="show all cases and do nothing")]
Tenant = Annotated[UUID, typer.Option("--tenant", help="the one tenant whose rows the token reaches")]
Roles = Annotated[list[str], typer.Option("--role", help="buyer, venue_staff, finance or service; several allowed")]
Venues = Annotated[list[str] | None, typer.Option("--venue", help="a venue it reaches; without any, all of them")]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="what a service may do, such as payments:complete")]
Subject = Annotated[str, typer.Option("--subject", help="who it is; a buyer reaches the payments of this buyer_id")]
ForMinutes = Annotated[int, typer.Option("--minutes", min=1, max=1440, help="how long it holds")]
Seconds = Annotated[float, typer.Option(min=0, help="how long to wait")]
OrdersPerSecond = Annotated[float, typer.Option(min=0.1, max=100_000, help="orders a second to stand")]
Endpoint = Annotated[float, typer.Option(min=1, help="Stripe's limit for the endpoint that charges, a second")]
Account = Annotated[float, typer.Option(min=1, help="Stripe's limit for the account, a second")]
StripeSeconds = Annotated[float, typer.Option(min=0.01, help="how long Stripe takes to charge; not measured here")]
Cores = Annotated[float, typer.Option(min=0.1, help="cores of the database's server")]
RecipientsEach = Annotated[float, typer.Option(min=0, max=100, help="recipients of an order, a transfer each")]
Plot = Annotated[Path | None, typer.Option(help="draw it into this .svg or .png")]
PlainJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Peak = Annotated[float, typer.Option(min=1, help="orders a second at the height of it")]
WritePage = Annotated[bool, typer.Option("--write", help="write the list to deploy/docs/alerts-proof.md")]
UntilAtRest = Annotated[float, typer.Option(min=0, help="look again for so many seconds, until nothing is under way")]
ReportFile = Annotated[Path | None, typer.Option("--report", help="write the whole report to this file, as JSON")]


# These make the one-machine stack, or take the servers that the environment names, by themselves.
_MAKE_THE_STACK = {"up", "down", "demo", "day", "bench", "chaos", "autoscale-proof", "mints-proof", "alerts-proof"}


@app.callback()
def common(context: typer.Context, local: Local = False) -> None:
    """Without --local every address comes from the environment, and nothing stands in for a missing one."""
    if local and context.invoked_subcommand not in _MAKE_THE_STACK:
        from deploy.local.stack.stack import Stack

        os.environ.update(Stack().environment())


@app.command()
def up(scale: Scale = None, detach: Detach = False) -> None:
    """Start the servers and every process of the Procfile, and keep them running."""
    from deploy.local.stack.up import up

    raise typer.Exit(up(dict(map(_name_and_count, scale or [])), detach))


@app.command()
def down() -> None:
    """Stop what `fleet up` started, and what a killed one has left."""
    from deploy.local.stack.up import down

    raise typer.Exit(down())


@app.command()
def migrate() -> None:
    """Bring the database to the schema of this version."""
    from db.migrate import main

    main()


@app.command()
def doctor() -> None:
    """Check every setting, connection and queue, and say what to do about the rest."""
    from deploy.doctor import doctor

    raise typer.Exit(doctor())


@app.command()
def verify(orders: OrderLog = None, as_json: AsJson = False, report: ReportFile = None, wait: UntilAtRest = 0) -> None:
    """Compare what was asked for, the book, the broker and Stripe; exit code 0 only when nothing is off."""
    from deploy.checking import check

    raise typer.Exit(check(orders, as_json=as_json, report_file=report, wait_seconds=wait))


@app.command()
def demo(orders: Orders = 400, rate: PerSecond = 25, seed: Seed = 7, faults: Faults = True, keep: Keep = False) -> None:
    """Bring the fleet up, hold a seeded on-sale, watch it, and verify."""
    from deploy.local.proofs.demo.run import Plan, demo

    raise typer.Exit(demo(Plan(orders=orders, rate=rate, seed=seed, faults=faults, keep=keep)))


@app.command()
def day(orders: Orders = 5_000, rate: PerSecond = 25, seed: Seed = 7, keep: Keep = False) -> None:
    """Live a seeded day with refunds, disputes, lost webhooks and payouts, and see whether the books close."""
    from deploy.local.proofs.day.run import Plan, day

    raise typer.Exit(day(Plan(orders=orders, rate=rate, seed=seed, keep=keep)))


@app.command("shares-proof")
def shares_proof(
    sales: Orders = 3_000,
    resales: Resales = 1_000,
    groups: Groups = 100,
    rate: PerSecond = 25,
    seed: Seed = 7,
    keep: Keep = False,
) -> None:
    """Sell and resell from a seed, give back, dispute, empty accounts, and see whether every party has its own."""
    from deploy.local.proofs.shares.run import Plan, shares_proof

    raise typer.Exit(shares_proof(Plan(sales=sales, resales=resales, groups=groups, rate=rate, seed=seed, keep=keep)))


@app.command()
def bench(quick: Quick = False, out: Out = Path("bench.json")) -> None:
    """Measure the fleet on this machine against ceilings of the same run; the table is also written as JSON."""
    from deploy.local.bench.__main__ import main

    main([*(["--quick"] if quick else []), "--out", str(out)])


@app.command()
def chaos(
    seed: Seed = 1,
    minutes: Minutes = 10,
    orders: Orders = 2000,
    only: Only = "",
    as_json: AsJson = False,
    show_list: ListCases = False,
) -> None:
    """Break the fleet in every way we know, one after another by a seed, under load, and verify after each."""
    from deploy.local.proofs.chaos.plan import Plan
    from deploy.local.proofs.chaos.run import chaos, list_cases

    keys = tuple(key.strip() for key in only.split(",") if key.strip())
    raise typer.Exit(list_cases() if show_list else chaos(Plan(seed, minutes, orders, keys), as_json=as_json))


@app.command()
def capacity(
    orders_per_second: OrdersPerSecond = 200,
    stripe_endpoint: Endpoint = 25,
    stripe_account: Account = 100,
    stripe_seconds: StripeSeconds = 0.68,
    database_cores: Cores = 4,
    recipients: RecipientsEach = 1,
    as_json: PlainJson = False,
) -> None:
    """What so many orders a second need, from measured costs, and what breaks first; exit code 1 when it does."""
    from deploy.capacity.plan import Site
    from deploy.capacity.show import capacity

    site = Site(stripe_account, stripe_endpoint, stripe_seconds, database_cores, recipients=recipients)
    raise typer.Exit(capacity(orders_per_second, site, as_json=as_json))


@app.command("autoscale-proof")
def autoscale_proof(seed: Seed = 1, orders: Orders = 400, as_json: PlainJson = False) -> None:
    """Scale real workers of this machine up and down under a rush, by the manifests' policy, and verify."""
    from deploy.local.proofs.autoscale.proof import prove

    raise typer.Exit(prove(seed, orders, as_json=as_json))


@simulation.command("on-sale")
def simulate_on_sale(seed: Seed = 1, peak: Peak = 200, plot: Plot = None, as_json: PlainJson = False) -> None:
    """0 to 200 orders a second in ten seconds, against Stripe's limits, with the autoscaling of the manifests."""
    from deploy.scaling.onsale import OnSale
    from deploy.scaling.plot import simulate

    raise typer.Exit(simulate(OnSale(peak=peak), seed, plot, as_json=as_json))


@schema.command("wait")
def schema_wait(seconds: Seconds = 600) -> None:
    """Return once the database has the schema of this version; exit code 69 when it does not in time."""
    from deploy.shipping import wait_for_schema

    raise typer.Exit(wait_for_schema(seconds))


@app.command("mints-proof")
def mints_proof(
    tickets: Annotated[int, typer.Option(min=1, max=1_000_000, help="tickets that are paid for")] = 2_000,
    minters: Annotated[int, typer.Option(min=1, max=32, help="minters beside one another")] = 8,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Mint thousands of paid tickets while processes die and the chain misbehaves, and count the tokens."""
    from deploy.local.proofs.mints.proof import Plan, proof

    raise typer.Exit(proof(Plan(tickets, minters, seed), as_json=as_json))


@app.command("alerts-proof")
def alerts_proof(only: Only = "", write: WritePage = False) -> None:
    """Provoke every alert on a stack of its own, with a real Prometheus, and list which fired."""
    from deploy.local.proofs.alerts.proof import prove

    raise typer.Exit(prove(only, write=write))


@tenants.command("import")
def import_tenants(file: Path) -> None:
    """Register the tenants of a JSON file; what is there already stays as it is."""
    from deploy.tenants import import_file

    raise typer.Exit(import_file(file))


@api.command("token")
def api_token(
    tenant: Tenant,
    role: Roles,
    venue: Venues = None,
    scope: Scopes = None,
    subject: Subject = "somebody",
    minutes: ForMinutes = 60,
) -> None:
    """Print a token for tries on this machine; only with APP_ENV=local."""
    from deploy.api_token import show_token

    raise typer.Exit(show_token(tenant, role, venue or [], scope or [], subject, minutes))


def _name_and_count(text: str) -> tuple[str, int]:
    name, separator, count = text.partition("=")
    if not (separator and count.isdigit()):
        raise typer.BadParameter(f"{text!r} is not NAME=COUNT, as in --scale workers=2")
    return name, int(count)


cli.add_to(app)


def main() -> None:
    try:
        app(prog_name="fleet")
    except ModuleNotFoundError as error:
        if WORKSHOP in sys.modules or not str(error.name).startswith((WORKSHOP, "simpy", "matplotlib")):
            raise
        sys.exit("This command is not in the image: run it in a clone, after `make setup`.")


if __name__ == "__main__":
    main()
