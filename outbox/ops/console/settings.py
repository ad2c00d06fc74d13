"""Where the console listens and whose tokens it accepts. It has no Stripe key, so no page can call Stripe."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from messages.runtime.settings import AppEnv, FleetSettings
from outbox.web.bearer_tokens import read_private_key, read_public_key


class ConsoleSettings(FleetSettings):
    """The public key is read once at the start: a rotated key needs a restart. A PEM has many lines, hence files."""

    console_host: str = Field(default="127.0.0.1", description="the address that the console listens on")
    console_port: int = Field(
        ge=1, le=65535, description="the port that the console listens on; put TLS in front of it"
    )
    console_jwt_public_key_file: Path = Field(description="PEM file with the RSA public key that verifies tokens")
    console_jwt_issuer: str = Field(min_length=1, description="the `iss` that tokens must carry")
    console_jwt_audience: str = Field(
        min_length=1, description="the `aud` that tokens must carry, such as fleet-console"
    )
    console_users_file: Path | None = Field(default=None, description="users of the login form; APP_ENV=local only")
    console_signing_key_file: Path | None = Field(
        default=None,
        description="PEM file with the private key that signs tokens of the login form; APP_ENV=local only",
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
                raise ValueError(f"{' and '.join(forbidden)}: only for APP_ENV=local; elsewhere use a token.")
        elif missing := [name for name, file in files.items() if file is None]:
            raise ValueError(
                f"{' and '.join(missing)}: required for the login form with APP_ENV=local; `fleet up` creates it."
            )
        elif self.console_signing_key_file is not None:
            read_private_key(self.console_signing_key_file)
        return self
