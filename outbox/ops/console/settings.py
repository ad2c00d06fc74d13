"""Settings of the console: the address it binds and the issuer whose tokens it trusts. It has no Stripe key."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from messages.runtime.settings import AppEnv, FleetSettings
from outbox.web.bearer_tokens import read_private_key, read_public_key


class ConsoleSettings(FleetSettings):
    """The public key is read once at startup; a new key needs a restart. Keys are files: a PEM has several lines."""

    console_host: str = Field(default="127.0.0.1", description="the address the console binds")
    console_port: int = Field(ge=1, le=65535, description="the port the console binds")
    console_jwt_public_key_file: Path = Field(
        description="a PEM file with the RSA public key that tokens are checked with"
    )
    console_jwt_issuer: str = Field(min_length=1, description="the `iss` that tokens must carry")
    console_jwt_audience: str = Field(
        min_length=1, description="the `aud` that tokens must carry, such as fleet-console"
    )
    console_users_file: Path | None = Field(
        default=None, description="users who may log in with the form; APP_ENV=local only"
    )
    console_signing_key_file: Path | None = Field(
        default=None, description="the private key that signs the login form's tokens; APP_ENV=local only"
    )

    @field_validator("console_jwt_public_key_file")
    @classmethod
    def _a_public_key(cls, file: Path) -> Path:
        read_public_key(file)
        return file

    @model_validator(mode="after")
    def _forms_are_local(self) -> Self:
        files = {
            "CONSOLE_USERS_FILE": self.console_users_file,
            "CONSOLE_SIGNING_KEY_FILE": self.console_signing_key_file,
        }
        if self.app_env is not AppEnv.LOCAL:
            if forbidden := [name for name, file in files.items() if file is not None]:
                raise ValueError(
                    f"{' and '.join(forbidden)}: only for APP_ENV=local; elsewhere users authenticate with a token."
                )
        elif missing := [name for name, file in files.items() if file is None]:
            raise ValueError(
                f"{' and '.join(missing)}: required for the login form with APP_ENV=local; `fleet up` creates it."
            )
        elif self.console_signing_key_file is not None:
            read_private_key(self.console_signing_key_file)
        return self
