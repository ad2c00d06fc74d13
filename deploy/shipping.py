"""What a platform asks of a container before its process starts."""

import sys

from db import schema_version
from db.settings import DatabaseSettings
from messages.runtime.settings import SettingsError, load, stop_the_start
from outbox.broker.topology import EX_UNAVAILABLE


def wait_for_schema(seconds: float) -> int:
    """Returns the exit code: 0, or 69 with a sentence that says what is missing."""
    try:
        (settings,) = load(DatabaseSettings)
    except SettingsError as error:
        stop_the_start(error)
    missing = schema_version.wait_for_schema(settings, seconds=seconds)
    if missing:
        sys.stderr.write(f"The database is not at the schema of this version after {seconds:.0f} s: {missing}\n")
    return EX_UNAVAILABLE if missing else 0
