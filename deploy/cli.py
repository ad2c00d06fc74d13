"""The `fleet` command. Each subcommand is one function, which imports its package only when it runs: `fleet up` loads
no worker, and a broken package breaks only its own subcommand.
"""

# ruff: noqa: PLC0415  imports inside the functions are the point of this file

import os
import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from deploy.proof_commands import PROOFS, AsJson, PlainJson, Seed
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
OrderLog = Annotated[Path | None, typer.Option("--orders", help="the order service's log, to compare with")]
Quick = Annotated[bool, typer.Option("--quick", help="two short passes instead of five")]
Out = Annotated[Path, typer.Option(help="file to write the results to")]
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
Peak = Annotated[float, typer.Option(min=1, help="orders per second at the peak")]
UntilAtRest = Annotated[
    float, typer.Option(min=0, help="repeat for up to this many seconds, until no work is in flight")
]
ReportFile = Annotated[Path | None, typer.Option("--report", help="write the full report to this file, as JSON")]


# These start the one-machine stack themselves, or use the servers of the environment.
_MAKE_THE_STACK = {"up", "down", "bench", "prove", *(alias for alias, _ in PROOFS.values())}

for _name, (_alias, _command) in PROOFS.items():
    proofs.command(_name)(_command)
    app.command(_alias, help=f"{(_command.__doc__ or '').strip()} The same as `fleet prove {_name}`.")(_command)


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


@app.command()
def bench(quick: Quick = False, out: Out = Path("bench.json")) -> None:
    """Benchmark the fleet on this machine against the limits of the same run; also writes the results as JSON."""
    from deploy.local.bench.__main__ import main

    main([*(["--quick"] if quick else []), "--out", str(out)])


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
