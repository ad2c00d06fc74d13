"""Named points at which a fault test can kill the process, as an outage would: SIGKILL, nothing is cleaned up.

Unarmed, a point costs one dictionary look-up. It is armed by FLEET_CRASH_POINTS, a folder with one file per crash to
spend, named `<point>` or `<point>.<anything>`; a file is removed as its crash is spent, so that the restarted process
lives. Settings of production refuse the variable (outbox/broker/settings.py).
"""

import os
import signal
from pathlib import Path

VARIABLE = "FLEET_CRASH_POINTS"


def crash_point(name: str) -> None:
    """Die here when a crash of this name is left to spend."""
    folder = os.environ.get(VARIABLE)
    if folder:
        _spend(Path(folder), name)


def _spend(folder: Path, name: str) -> None:
    for token in [*folder.glob(name), *folder.glob(f"{name}.*")]:
        try:
            token.unlink()
        except FileNotFoundError:  # another process died of it first
            continue
        os.kill(os.getpid(), signal.SIGKILL)
