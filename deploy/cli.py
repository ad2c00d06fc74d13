"""The `fleet` command. Each subcommand is one function, which imports its package only when it runs: `fleet up` loads
no worker, and a broken package breaks only its own subcommand.
"""

# ruff: noqa: PLC0415  imports inside the functions are the point of this file

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from outbox.ops import cli

WORKSHOP = "deploy.local"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run and operate the payment fleet.",
)
tenants = typer.Typer(no_args_is_help=True, help="Register tenants, their venues and fee plans.")
app.add_typer(tenants, name="tenants")
api = typer.Typer(no_args_is_help=True, help="Create tokens for the HTTP API.")
app.add_typer(api, name="api")
schema = typer.Typer(no_args_is_help=True, help="Wait for the database schema.")
app.add_typer(schema, name="schema")
proofs = typer.Typer(no_args_is_help=True, help="Prove a claim with the whole fleet on this machine.")
app.add_typer(proofs, name="prove")
simulation = typer.Typer(no_args_is_help=True, help="Simulate load that one machine cannot produce.")
app.add_typer(simulation, name="simulate")

Local = Annotated[bool, typer.Option("--local", help="use the servers of the one-machine stack in this clone")]
Scale = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COUNT", help="number of processes for a Procfile line or a queue class, such as charges=4"
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help="return once everything is ready, and leave it running")]
Orders = Annotated[int, typer.Option(min=1, max=1_000_000, help="number of valid orders to publish")]
Resales = Annotated[int, typer.Option(min=0, max=1_000_000, help="number of those orders that are resold")]
Groups = Annotated[int, typer.Option(min=0, max=100_000, help="number of group payments")]
PerSecond = Annotated[float, typer.Option("--rate", min=0.1, max=5_000, help="events published per second")]
Seed = Annotated[int, typer.Option(help="random seed; the same seed repeats the same run")]
Faults = Annotated[bool, typer.Option(help="let the Stripe emulator drop responses, fail, and reorder webhooks")]
Keep = Annotated[bool, typer.Option("--keep", help="leave the fleet running afterwards")]
OrderLog = Annotated[Path | None, typer.Option("--orders", help="the order service's log, to compare with")]
AsJson = Annotated[bool, typer.Option("--json", help="print lost, duplicated, unexpected, unexplained_minor as JSON")]
Quick = Annotated[bool, typer.Option("--quick", help="two short passes instead of five")]
Out = Annotated[Path, typer.Option(help="file to write the results to")]
Minutes = Annotated[float, typer.Option(min=0.5, max=600, help="start no new fault after this time")]
Only = Annotated[str, typer.Option(metavar="CASE,CASE", help="run only these cases, by key or number")]
ListCases = Annotated[bool, typer.Option("--list", help="list all cases and exit")]
Tenant = Annotated[UUID, typer.Option("--tenant", help="the tenant that the token gives access to")]
Roles = Annotated[list[str], typer.Option("--role", help="buyer, venue_staff, finance or service; repeatable")]
Venues = Annotated[
    list[str] | None,
    typer.Option("--venue", help="a venue that the token gives access to; repeatable (default: all venues)"),
]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", help="a permission for the role service, such as payments:complete; repeatable"),
]
Subject = Annotated[
    str, typer.Option("--subject", help="the subject; a buyer has access to payments with this buyer_id")
]
ForMinutes = Annotated[int, typer.Option("--minutes", min=1, max=1440, help="validity of the token in minutes")]
Seconds = Annotated[float, typer.Option(min=0, help="timeout in seconds")]
OrdersPerSecond = Annotated[float, typer.Option(min=0.1, max=100_000, help="orders per second to plan for")]
Endpoint = Annotated[float, typer.Option(min=1, help="Stripe's rate limit for the charge endpoint, per second")]
Account = Annotated[float, typer.Option(min=1, help="Stripe's rate limit for the account, per second")]
StripeSeconds = Annotated[
    float, typer.Option(min=0.01, help="duration of one charge at Stripe (an assumption, not measured)")
]
Cores = Annotated[float, typer.Option(min=0.1, help="CPU cores of the database server")]
RecipientsEach = Annotated[float, typer.Option(min=0, max=100, help="recipients per order, with one transfer each")]
Plot = Annotated[Path | None, typer.Option(help="draw the result to this .svg or .png file")]
PlainJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Peak = Annotated[float, typer.Option(min=1, help="orders per second at the peak")]
WritePage = Annotated[bool, typer.Option("--write", help="write the results to deploy/docs/alerts-proof.md")]
UntilAtRest = Annotated[
    float, typer.Option(min=0, help="repeat for up to this many seconds, until no work is in flight")
]
ReportFile = Annotated[Path | None, typer.Option("--report", help="write the full report to this file, as JSON")]


# `fleet prove NAME`, and the name that the same command had before, which stays.
_PROOFS = {
    "demo": "demo",
    "day": "day",
    "shares": "shares-proof",
    "mints": "mints-proof",
    "autoscale": "autoscale-proof",
    "alerts": "alerts-proof",
    "chaos": "chaos",
}
# These start the one-machine stack themselves, or use the servers of the environment.
_MAKE_THE_STACK = {"up", "down", "bench", "prove", *_PROOFS.values()}


def proof(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Two commands of one function: `fleet prove NAME`, and the one it had before."""

    def register(command: Callable[..., None]) -> Callable[..., None]:
        proofs.command(name)(command)
        app.command(_PROOFS[name], help=f"{(command.__doc__ or '').strip()} The same as `fleet prove {name}`.")(command)
        return command

    return register


@app.callback()
def common(context: typer.Context, local: Local = False) -> None:
    """Server addresses come from the environment, without defaults, unless --local is given."""
    if local and context.invoked_subcommand not in _MAKE_THE_STACK:
        from deploy.local.stack.stack import Stack

        os.environ.update(Stack().environment())


@app.command()
def up(scale: Scale = None, detach: Detach = False) -> None:
    """Start the servers and all processes of the Procfile, and restart those that exit."""
    from deploy.local.stack.up import up

    raise typer.Exit(up(dict(map(_name_and_count, scale or [])), detach))


@app.command()
def down() -> None:
    """Stop everything that `fleet up` started, including leftovers of a killed run."""
    from deploy.local.stack.up import down

    raise typer.Exit(down())


@app.command()
def migrate() -> None:
    """Migrate the database to the schema of this version."""
    from db.migrate import main

    main()


@app.command()
def doctor() -> None:
    """Check settings, connections and queues, and explain how to fix each problem."""
    from deploy.doctor import doctor

    raise typer.Exit(doctor())


@app.command()
def verify(orders: OrderLog = None, as_json: AsJson = False, report: ReportFile = None, wait: UntilAtRest = 0) -> None:
    """Compare orders, database, broker and Stripe; exits 0 only if everything matches."""
    from deploy.checking import check

    raise typer.Exit(check(orders, as_json=as_json, report_file=report, wait_seconds=wait))


@proof("demo")
def demo(orders: Orders = 400, rate: PerSecond = 25, seed: Seed = 7, faults: Faults = True, keep: Keep = False) -> None:
    """Start the fleet, run a seeded on-sale, show its progress, and verify the result."""
    from deploy.local.proofs.demo.proof import Plan, prove

    raise typer.Exit(prove(Plan(orders=orders, rate=rate, seed=seed, faults=faults, keep=keep)))


@proof("day")
def day(orders: Orders = 5_000, rate: PerSecond = 25, seed: Seed = 7, keep: Keep = False) -> None:
    """Run a seeded day of sales, refunds, disputes, lost webhooks and payouts, and reconcile the books."""
    from deploy.local.proofs.day import Plan, prove

    raise typer.Exit(prove(Plan(orders=orders, rate=rate, seed=seed, keep=keep)))


@proof("shares")
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


@app.command()
def bench(quick: Quick = False, out: Out = Path("bench.json")) -> None:
    """Benchmark the fleet on this machine against the limits of the same run; also writes the results as JSON."""
    from deploy.local.bench.__main__ import main

    main([*(["--quick"] if quick else []), "--out", str(out)])


@proof("chaos")
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
    """Plan capacity for an order rate from measured costs, and name the first bottleneck; exits 1 if there is one."""
    from deploy.capacity.plan import Site
    from deploy.capacity.show import capacity

    site = Site(stripe_account, stripe_endpoint, stripe_seconds, database_cores, recipients=recipients)
    raise typer.Exit(capacity(orders_per_second, site, as_json=as_json))


@proof("autoscale")
def autoscale_proof(seed: Seed = 1, orders: Orders = 400, as_json: PlainJson = False) -> None:
    """Autoscale real workers on this machine under a burst of orders, with the manifests' policy, and verify."""
    from deploy.local.proofs.autoscale import prove

    raise typer.Exit(prove(seed, orders, as_json=as_json))


@simulation.command("on-sale")
def simulate_on_sale(seed: Seed = 1, peak: Peak = 200, plot: Plot = None, as_json: PlainJson = False) -> None:
    """Simulate an on-sale that ramps up in ten seconds, with Stripe's limits and the manifests' autoscaling."""
    from deploy.scaling.onsale import OnSale
    from deploy.scaling.plot import simulate

    raise typer.Exit(simulate(OnSale(peak=peak), seed, plot, as_json=as_json))


@schema.command("wait")
def schema_wait(seconds: Seconds = 600) -> None:
    """Wait until the database has the schema of this version; exits 69 on timeout."""
    from deploy.shipping import wait_for_schema

    raise typer.Exit(wait_for_schema(seconds))


@proof("mints")
def mints_proof(
    tickets: Annotated[int, typer.Option(min=1, max=1_000_000, help="number of paid tickets")] = 2_000,
    minters: Annotated[int, typer.Option(min=1, max=32, help="number of concurrent minters")] = 8,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Mint thousands of paid tickets while processes crash and the chain fails, and verify the number of tokens."""
    from deploy.local.proofs.mints.proof import Plan, prove

    raise typer.Exit(prove(Plan(tickets, minters, seed), as_json=as_json))


@proof("alerts")
def alerts_proof(only: Only = "", write: WritePage = False) -> None:
    """Trigger every alert on a separate stack with a real Prometheus, and list those that fired."""
    from deploy.local.proofs.alerts.proof import prove

    raise typer.Exit(prove(only, write=write))


@tenants.command("import")
def import_tenants(file: Path) -> None:
    """Register the tenants in a JSON file; existing entries are left unchanged."""
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
    """Print an API token for local use; requires APP_ENV=local."""
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
