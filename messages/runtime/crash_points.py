"""Named points at which a fault test can kill the process, as an outage would: SIGKILL, nothing is cleaned up.

Unarmed, a point costs one dictionary look-up. It is armed by FLEET_CRASH_POINTS, a folder with one file per crash to
spend, named `<point>` or `<point>.<anything>`; a file is removed as its crash is spent, so that the restarted process
lives. Settings of production refuse the variable (outbox/broker/settings.py).
"""

import os
import re
import signal
from pathlib import Path

VARIABLE = "FLEET_CRASH_POINTS"
_NAMED = re.compile(r'crash_point\("([\w.]+)"\)|\bask\("(\w+)", db')


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


def points_in(source: str) -> list[str]:
    """The points that a file of ours names: its own, and those that `ask` passes around the call of an actor."""
    points: list[str] = []
    for point, actor in _NAMED.findall(source):
        points += [point] if point else [f"{actor}.before_call", f"{actor}.after_call"]
    return points
