"""Settings are read once, at the entry point, from the environment; a wrong one stops the start (M10).

Each package has its own small class that inherits FleetSettings, and each process loads only the classes it needs: the
public intake cannot even read the Stripe secret key. Nothing has a default that stands in for a missing outside world.
"""

import sys
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, NoReturn, TypeVar, overload
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from messages.runtime.secret_files import SecretFiles, UnreadableSecretsError

EX_CONFIG = 78  # sysexits.h: something was found in an unconfigured or misconfigured state


class AppEnv(StrEnum):
    LOCAL = "local"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


class FleetSettings(BaseSettings):
    """APP_ENV is asked of every process; there is no default, so that nobody runs production rules by accident."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    app_env: AppEnv = Field(description="set it to local, test, staging or production")

    @property
    def in_production(self) -> bool:
        return self.app_env is AppEnv.PRODUCTION

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller says, then secrets from files, then the environment; nothing else is read."""
        del dotenv_settings, file_secret_settings
        return init_settings, SecretFiles(settings_cls), env_settings


class SettingsError(Exception):
    """Every problem found, one sentence each, each naming the variable and what to set."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


A = TypeVar("A", bound=FleetSettings)
B = TypeVar("B", bound=FleetSettings)
C = TypeVar("C", bound=FleetSettings)
D = TypeVar("D", bound=FleetSettings)
E = TypeVar("E", bound=FleetSettings)
F = TypeVar("F", bound=FleetSettings)


@overload
def load(a: type[A], /) -> tuple[A]: ...
@overload
def load(a: type[A], b: type[B], /) -> tuple[A, B]: ...
@overload
def load(a: type[A], b: type[B], c: type[C], /) -> tuple[A, B, C]: ...
@overload
def load(a: type[A], b: type[B], c: type[C], d: type[D], /) -> tuple[A, B, C, D]: ...
@overload
def load(a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], /) -> tuple[A, B, C, D, E]: ...
@overload
def load(a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], f: type[F], /) -> tuple[A, B, C, D, E, F]: ...
@overload
def load(*classes: type[FleetSettings]) -> tuple[FleetSettings, ...]: ...
def load(*classes: type[FleetSettings]) -> tuple[Any, ...]:
    """Read all classes, and name the problems of all of them at once.

    Raises:
        SettingsError: at least one variable is missing or wrong.
    """
    loaded: list[FleetSettings] = []
    problems: dict[str, None] = {}
    for settings in classes:
        try:
            loaded.append(settings())
        except UnreadableSecretsError as error:
            problems.update(dict.fromkeys(error.problems))
        except ValidationError as error:
            problems.update(dict.fromkeys(_sentences(settings, error)))
    if problems:
        raise SettingsError(list(problems))
    return tuple(loaded)


def stop_the_start(error: SettingsError) -> NoReturn:
    """Say all problems on standard error and leave with exit code 78."""
    sys.stderr.write("This process cannot start:\n" + "".join(f"  - {problem}\n" for problem in error.problems))
    raise SystemExit(EX_CONFIG)


def _sentences(settings: type[FleetSettings], error: ValidationError) -> list[str]:
    return [
        sentence
        for detail in error.errors(include_url=False, include_input=False, include_context=False)
        for sentence in _sentence(settings, detail["loc"], detail["type"], detail["msg"]).splitlines()
    ]


def _sentence(settings: type[FleetSettings], location: tuple[int | str, ...], kind: str, message: str) -> str:
    name = str(location[0]) if location else ""
    field = settings.model_fields.get(name)
    hint = (field.description if field else None) or "see deploy/docs/settings.md"
    if kind == "missing":
        return f"{name.upper()} is not set: {hint}."
    said = message.removeprefix("Value error, ")
    return f"{name.upper()}: {said} ({hint})." if name else said


def is_loopback_host(host: str) -> bool:
    """True when the host can only be reached from this machine; an empty host or a path is a local socket."""
    if host in {"", "localhost"} or host.startswith("/"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_address(url: str, schemes: Sequence[str]) -> str:
    """Check the form of a connection address.

    Raises:
        ValueError: another scheme, or a port that is none. What stands there may be half a password, and is not shown.
    """
    parts = urlsplit(url)
    if parts.scheme not in schemes:
        raise ValueError(f"the address must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    try:
        _ = [urlsplit(f"//{host}").port for host in parts.netloc.rpartition("@")[2].split(",")]
    except ValueError:
        said = "its port is no number; / ? # and @ in a password are written %2F %3F %23 and %40"
        raise ValueError(said) from None
    return url


def require_tls(url: str, schemes: Sequence[str]) -> None:
    """In production nothing crosses a network in the clear.

    Raises:
        ValueError: the address is not loopback and its scheme does not encrypt.
    """
    parts = urlsplit(url)
    if parts.scheme not in schemes and not is_loopback_host(parts.hostname or ""):
        ways = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(f"production needs TLS for an address that is not loopback: use {ways}")


def require_tls_of(name: str, url: SecretStr, *schemes: str) -> None:
    """The same for a setting, whose name then begins the sentence.

    Raises:
        ValueError: the address is not loopback and its scheme does not encrypt.
    """
    try:
        require_tls(url.get_secret_value(), schemes)
    except ValueError as error:
        raise ValueError(f"{name}: {error}.") from None
