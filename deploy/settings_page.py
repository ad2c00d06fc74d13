"""Writes deploy/docs/settings.md: every setting of every process, made from the settings classes.

`python -m deploy.settings_page` writes it; a test compares it, so no setting is forgotten there and none stays on. Who
reads a setting is found in the sources (deploy/settings_readers.py).
"""

import importlib
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from deploy.settings_readers import ROOMS, ROOT, readers
from messages.runtime.secret_files import holds_a_secret
from messages.runtime.settings import AppEnv, FleetSettings

PAGE = ROOT / "deploy" / "docs" / "settings.md"
BASE = "FleetSettings"
# Class -> what a reader would look for, where the name of the class does not say it.
TITLES = {
    "ApiSettings": "API",
    "ApiSigningSettings": "API tokens of a local fleet",
    "BudgetSettings": "Stripe rate limit",
    "ChainSettings": "Chain, for the minter",
    "CollectorSettings": "Metrics and service levels",
    "ContractSettings": "Chain",
    "DisputeSettings": "Disputes",
    "EventCancellationSettings": "Cancelled events",
    "HealthSettings": "Health and metrics",
    "HttpSettings": "HTTP intake",
    "OpenSettings": "Dead letters, for a replay",
    "OpsSettings": "Second operator",
    "OptionalCacheSettings": "Cache, optional",
    "ReconcileSettings": "Reconciliation",
    "SealSettings": "Dead letters",
    "StatementSettings": "Statements",
    "WebhookSettings": "Webhooks",
}
HEAD = """\
# Settings

Made from the settings classes by `make docs`. Settings are read once, at the start, from the environment. A process
reports all missing and wrong settings together, and exits with code 78; `fleet doctor` checks them and the servers they
name. A process reads only the settings listed for it: the public intake cannot read the Stripe key.

A *secret* is also read from the file that the same name with `_FILE` names, such as
`DATABASE_URL_FILE=/run/secrets/database_url`; setting both is an error. In production every address that is not
loopback needs TLS: `sslmode=verify-full`, `amqps://`, `rediss://`, `https://`.

`make up` and `make demo` set all of this for the servers of the clone. They use your own servers when `DATABASE_URL`
with `MIGRATION_DATABASE_URL`, `REDIS_URL` or `RABBITMQ_URL` is set, and then start none in their place. A command
with `fleet --local` uses the addresses of that local stack; without it every address comes from the environment.
"""

# What is read from the environment and is no field of a settings class.
TAIL = """
## Read by libraries and by the test harness

| variable | read by | meaning |
| --- | --- | --- |
| `OTEL_...` | every process | further settings of the OpenTelemetry SDK, once `OTEL_EXPORTER_OTLP_ENDPOINT` is set |
| `PROMETHEUS_MULTIPROC_DIR` | every process | directory shared by a machine's processes; `/metrics` sums over them |
| `FLEET_CRASH_POINTS` | every process | tests only: where the process kills itself; refused in production |

Where the runbooks are published stands in `deploy/prometheus/prometheus.yaml` (`external_labels`), in no setting.
"""


def page() -> str:
    read_by = readers(frozenset(settings.__name__ for settings in classes()))
    sections = [_section(settings, read_by[settings.__name__]) for settings in classes()]
    common = _table([("app_env", FleetSettings.model_fields["app_env"])])
    return f"{HEAD}\n## All processes\n\nRead by every process and command.\n\n{common}{''.join(sections)}{TAIL}"


def classes() -> list[type[FleetSettings]]:
    """Every settings class of the fleet, by title."""
    for module in _modules():
        if BASE in module.read_text():
            importlib.import_module(_dotted(module))
    found = [each for each in _heirs(FleetSettings) if each.__module__.split(".")[0] in ROOMS]
    return sorted(found, key=_title)


def _modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def _dotted(module: Path) -> str:
    return ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _heirs(base: type[FleetSettings]) -> Iterator[type[FleetSettings]]:
    for heir in base.__subclasses__():
        yield heir
        yield from _heirs(heir)


def _title(settings: type[FleetSettings]) -> str:
    """The topic of a class; where TITLES has none, its name: DisputeSettings -> Dispute."""
    name = settings.__name__.removesuffix("Settings")
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return TITLES.get(settings.__name__) or words.strip().capitalize()


def _section(settings: type[FleetSettings], read_by: list[str]) -> str:
    own = [(name, field) for name, field in settings.model_fields.items() if name in settings.__annotations__]
    about = f"{' '.join(settings.__doc__.split())}\n\n" if settings.__doc__ else ""
    return f"\n## {_title(settings)}\n\n{about}Read by: {', '.join(read_by)}.\n\n{_table(own)}"


def _table(fields: list[tuple[str, FieldInfo]]) -> str:
    rows = [
        f"| `{name.upper()}` | {_type(field)} | {_default(field)} | {_cell(field.description or '')} |\n"
        for name, field in fields
    ]
    return "| variable | type | default | meaning |\n| --- | --- | --- | --- |\n" + "".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _type(field: FieldInfo) -> str:
    """The type in words, with the limits of a number."""
    annotation: Any = field.annotation
    if holds_a_secret(annotation):
        return "secret" if annotation is SecretStr or type(None) in get_args(annotation) else "secrets"
    kinds = [each for each in (get_args(annotation) or (annotation,)) if each is not type(None)]
    if getattr(annotation, "__origin__", None) is dict:
        return "JSON object"
    if isinstance(kinds[0], type) and issubclass(kinds[0], AppEnv):
        return " \\| ".join(f"`{word.value}`" for word in AppEnv)
    words = {"str": "text", "int": "integer", "float": "number", "bool": "true or false", "Path": "file"}
    return words[kinds[0].__name__] + _limits(field)


def _limits(field: FieldInfo) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    limits = [
        f"{sign} {getattr(rule, name):,}"
        for rule in field.metadata
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return f" {' and '.join(limits)}" if limits else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value.value if isinstance(value, Enum) else value}`".replace("'", '"')


def main() -> int:
    PAGE.write_text(page())
    print(f"{sum(len(each.__annotations__) for each in classes())} settings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
