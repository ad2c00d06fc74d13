"""Secrets from files: DATABASE_URL_FILE=/run/secrets/database_url stands for DATABASE_URL.

A variable is seen by whoever sees the process's environment (its children, a crash report, `docker inspect`); a file
that the platform mounts is seen by the process's user. Every secret setting has this second name, and only secret ones
have: what is no secret is easier to see where it stands. One secret with both names is an error, never a choice.
"""

import os
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

# A mounted secret is a line; whoever points at a log or a device by mistake shall hear of it.
LARGEST_SECRET_BYTES = 64 * 1024


class UnreadableSecretsError(Exception):
    """One sentence a problem, each naming its variable; no content is ever shown."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SecretFiles(PydanticBaseSettingsSource):
    """Reads NAME_FILE for every secret field NAME of the class; a line end at the file's end does not count."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE")
        return (_content(Path(path)) if path and holds_a_secret(field.annotation) else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        problems: list[str] = []
        for name, field in self.settings_cls.model_fields.items():
            try:
                value, _, _ = self.get_field_value(field, name)
            except ValueError as error:
                problems.append(f"{name.upper()}_FILE: {error}.")
                continue
            if value is not None and os.environ.get(name.upper()):
                problems.append(f"{name.upper()} and {name.upper()}_FILE are both set: unset one of them.")
            elif value is not None:
                found[name] = value
        if problems:
            raise UnreadableSecretsError(problems)
        return found


def names_of_secrets(settings: type[BaseSettings]) -> Iterator[str]:
    """The variables of a class that may come from a file."""
    return (name.upper() for name, field in settings.model_fields.items() if holds_a_secret(field.annotation))


def holds_a_secret(annotation: Any) -> bool:
    """SecretStr itself, or inside a tuple, a union or Annotated."""
    return annotation is SecretStr or any(map(holds_a_secret, typing.get_args(annotation)))


def _content(path: Path) -> str:
    """
    Raises:
        ValueError: no such file, not readable, empty, or too long to be a secret.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_SECRET_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    if len(raw) > LARGEST_SECRET_BYTES:
        raise ValueError(f"{path} is larger than {LARGEST_SECRET_BYTES} bytes and no secret")
    try:
        text = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return text
