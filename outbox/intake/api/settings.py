"""Whose tokens the API takes, how often each caller may ask, and how many threads it has. It knows no Stripe key."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from messages.runtime.settings import AppEnv, FleetSettings, require_address, require_tls
from outbox.web.bearer_tokens import read_private_key, read_public_key


class ApiSettings(FleetSettings):
    """Whose tokens the API accepts (keys from a file, read at the start, or from a JWKS address), and its limits."""

    api_jwt_public_key_file: Path | None = Field(
        default=None, description="PEM file with the RSA public key that verifies API tokens; this or API_JWKS_URL"
    )
    api_jwks_url: str | None = Field(
        default=None, description="https:// address of the issuer's JSON Web Key Set (RFC 7517), instead of the file"
    )
    api_jwt_issuer: str = Field(min_length=1, description="the `iss` that API tokens must carry")
    api_jwt_audience: str = Field(min_length=1, description="the `aud` that API tokens must carry, such as fleet-api")
    api_requests_per_minute: int = Field(
        default=100, ge=1, description="requests per minute of one user of a tenant, all operations together"
    )
    api_payments_per_minute: int = Field(
        default=10, ge=1, description="POST /payments per minute of one user of a tenant"
    )
    api_refunds_per_minute: int = Field(
        default=5, ge=1, description="refund requests per minute of one user of a tenant"
    )
    api_threads: int = Field(
        default=4, ge=1, le=50, description="threads and database connections of the API; webhooks have their own"
    )

    @field_validator("api_jwt_public_key_file")
    @classmethod
    def _a_public_key(cls, file: Path | None) -> Path | None:
        if file is not None:
            read_public_key(file)
        return file

    @field_validator("api_jwks_url")
    @classmethod
    def _an_address(cls, url: str | None) -> str | None:
        return require_address(url, ("https", "http")) if url is not None else None

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if (self.api_jwt_public_key_file is None) == (self.api_jwks_url is None):
            raise ValueError("API_JWT_PUBLIC_KEY_FILE or API_JWKS_URL: set one of them, it says whose tokens hold.")
        if self.in_production and self.api_jwks_url is not None:
            try:
                require_tls(self.api_jwks_url, ("https",))
            except ValueError as error:
                raise ValueError(f"API_JWKS_URL: {error}.") from None
        return self


class ApiSigningSettings(FleetSettings):
    """For `fleet api token`, which signs tokens where APP_ENV=local and nowhere else."""

    api_jwt_issuer: str = Field(min_length=1, description="the `iss` that API tokens must carry")
    api_jwt_audience: str = Field(min_length=1, description="the `aud` that API tokens must carry, such as fleet-api")
    api_signing_key_file: Path = Field(
        description="PEM file with the private key that signs API tokens; `fleet up` makes it"
    )

    @field_validator("api_signing_key_file")
    @classmethod
    def _a_private_key(cls, file: Path) -> Path:
        read_private_key(file)
        return file

    @model_validator(mode="after")
    def _local_alone(self) -> Self:
        if self.app_env is not AppEnv.LOCAL:
            raise ValueError("API_SIGNING_KEY_FILE: only for APP_ENV=local; elsewhere your identity provider signs.")
        return self
