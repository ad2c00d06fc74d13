"""Text from outside, made fit for PostgreSQL: its text type holds every character but NUL."""


def storable(text: str) -> str:
    r"""The same text with each NUL written as `\x00`."""
    return text.replace("\x00", "\\x00")
