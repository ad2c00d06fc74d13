"""Where the book lies."""

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from messages.settings import FleetSettings, require_address, require_tls

POSTGRES_SCHEMES = ("postgresql", "postgres")


class DatabaseSettings(FleetSettings):
    database_url: SecretStr = Field(
        description="the PostgreSQL 18 address of role fleet, postgresql://fleet@host/fleet"
    )
    database_pool_size: int = Field(default=10, ge=1, le=100, description="connections of one process, 1 to 100")

    @field_validator("database_url")
    @classmethod
    def _an_address(cls, url: SecretStr) -> SecretStr:
        require_address(url.get_secret_value(), POSTGRES_SCHEMES)
        return url

    @model_validator(mode="after")
    def _encrypted_in_production(self) -> Self:
        if self.in_production:
            require_postgres_tls("DATABASE_URL", self.database_url)
        return self


class MigrationSettings(FleetSettings):
    """Only `fleet migrate` and `fleet tenants` log in as the owner of the schema."""

    migration_database_url: SecretStr = Field(
        description="the PostgreSQL 18 address of role fleet_owner, postgresql://fleet_owner@host/fleet"
    )

    @field_validator("migration_database_url")
    @classmethod
    def _an_address(cls, url: SecretStr) -> SecretStr:
        require_address(url.get_secret_value(), POSTGRES_SCHEMES)
        return url

    @model_validator(mode="after")
    def _encrypted_in_production(self) -> Self:
        if self.in_production:
            require_postgres_tls("MIGRATION_DATABASE_URL", self.migration_database_url)
        return self


def require_postgres_tls(name: str, url: SecretStr) -> None:
    try:
        require_tls(url.get_secret_value(), encrypted_schemes=(), encrypted_modes=("verify-full", "verify-ca"))
    except ValueError as error:
        raise ValueError(f"{name}: {error}.") from None
