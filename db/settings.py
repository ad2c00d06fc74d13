"""Where the database is, and as which role."""

from typing import Any, Self, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr, model_validator

from messages.runtime.settings import FleetSettings, is_loopback_host, require_address

# A server that vanished without a word (a pulled cable, a failed-over host) would be waited for until the kernel gives
# its retransmissions up, after a quarter of an hour. No timeout of the server's can help: it is not there.
NOTICE_SILENCE: dict[str, int] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # milliseconds
}

POSTGRES_SCHEMES = ("postgresql", "postgres")
S = TypeVar("S", bound=FleetSettings)


class DatabaseSettings(FleetSettings):
    """PostgreSQL, as the role that row-level security applies to (db/roles.sql)."""

    database_url: SecretStr = Field(
        description="the PostgreSQL 18 address of role fleet, postgresql://fleet@host/fleet"
    )
    database_pool_size: int = Field(default=10, ge=1, le=100, description="database connections of one process")

    @model_validator(mode="after")
    def _an_address(self) -> Self:
        return _checked(self, "DATABASE_URL", self.database_url)


class MigrationSettings(FleetSettings):
    """The owner of the schema, for `fleet migrate`, `fleet tenants` and `fleet doctor` alone."""

    migration_database_url: SecretStr = Field(
        description="the PostgreSQL 18 address of role fleet_owner, postgresql://fleet_owner@host/fleet"
    )

    @model_validator(mode="after")
    def _an_address(self) -> Self:
        return _checked(self, "MIGRATION_DATABASE_URL", self.migration_database_url)


def _checked(settings: S, name: str, url: SecretStr) -> S:
    try:
        require_address(url.get_secret_value(), POSTGRES_SCHEMES)
    except ValueError as error:
        raise ValueError(f"{name}: {error}.") from None
    if settings.in_production:
        require_postgres_tls(name, url)
    return settings


def require_postgres_tls(name: str, url: SecretStr) -> None:
    """libpq takes several hosts, and hosts in the query; every one of them counts.

    Raises:
        ValueError: a host is not loopback and the connection does not verify its certificate.
    """
    try:
        parts = conninfo_to_dict(url.get_secret_value())
    except psycopg.Error:
        raise ValueError(f"{name}: libpq cannot read this address.") from None
    hosts = [str(parts.get(key) or "") for key in ("host", "hostaddr")]
    near = all(is_loopback_host(host) for listed in hosts for host in listed.split(","))
    if not near and parts.get("sslmode") not in {"verify-full", "verify-ca"}:
        raise ValueError(f"{name}: production needs TLS for a host that is not loopback: add sslmode=verify-full.")


def takes_writes(connection: psycopg.Connection[Any]) -> bool:
    """True unless the server is a standby, or was made read-only, as a primary that is about to be replaced is.

    The server sends both with the answer to each statement, so nothing is asked; through a pooler that sends neither,
    the answer is yes.
    """
    told = (connection.pgconn.parameter_status(name) for name in (b"in_hot_standby", b"default_transaction_read_only"))
    return b"on" not in told
