"""Text from outside, made fit for PostgreSQL: its text type holds every character but NUL.

Without this one NUL in a message would fail the very INSERT that makes a dead letter of it (M21).
"""

from typing import Any
from uuid import UUID


def storable(text: str) -> str:
    r"""The same text with each NUL written as `\x00`."""
    return text.replace("\x00", "\\x00")


def text_or_none(value: object) -> str | None:
    r"""A value that should be text, storable. Bytes, which pika returns for what is no UTF-8, are escaped as `\xff`."""
    if value is None:
        return None
    return storable(value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value))


def storable_json(value: Any) -> Any:
    """The same JSON value with storable texts and keys; jsonb refuses NUL as text does."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(str(key)): storable_json(item) for key, item in value.items()}
    return [storable_json(item) for item in value] if isinstance(value, list) else value


def uuid_or_none(name: str) -> UUID | None:
    """The UUID that somebody wrote, in any of its spellings; None when the text is not one."""
    try:
        return UUID(name)
    except ValueError:
        return None
