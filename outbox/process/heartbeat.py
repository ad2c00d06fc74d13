"""Heartbeats of main loops, in memory that a process shares with its forks: a loop that stops beating is not live.

A loop calls beat("relay") each time round. The rows are in anonymous shared memory which is made when this module is
imported, so before any fork: the health server of the workers, a fork of its own, reads the heartbeats of its siblings.
"""

import mmap
import multiprocessing
import os
import struct
import time
from dataclasses import dataclass

_ROW = struct.Struct("=qd40s")  # pid, time.monotonic of the last beat, name; a pid of 0 means free
_BEAT_AT = struct.Struct("=d")
_ROWS = 1024  # 8 processes with 11 queues take 88


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One loop of one process, and the seconds since its last beat."""

    pid: int
    name: str
    age_seconds: float


class Heartbeats:
    """The rows. The clock is CLOCK_MONOTONIC, which all processes of a machine share.

    A row is claimed under a lock that forks share and then written by its own process alone, so a beat takes no lock.
    Rows are never freed: a loop that ended stays, and is reported as silent.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ROWS * _ROW.size)
        self._claiming = multiprocessing.get_context("fork").Lock()
        self._mine: dict[tuple[int, str], int] = {}

    def beat(self, name: str) -> None:
        """Record that this loop of this process is running. `name` is cut to 40 bytes; the first beat claims a row."""
        key = (os.getpid(), name)
        offset = self._mine.get(key)
        if offset is None:
            offset = self._mine[key] = self._claim(*key)
        # Only the eight bytes of the time: a reader sees the old beat or the new one, and never half a row.
        _BEAT_AT.pack_into(self._memory, offset + 8, time.monotonic())

    def all(self) -> list[Heartbeat]:
        """Every loop that ever beat in this process and its forks, in the order of their first beats."""
        now, found = time.monotonic(), []
        for pid, at, name in _ROW.iter_unpack(self._memory[:]):
            if pid == 0:
                break
            found.append(Heartbeat(pid, name.rstrip(b"\0").decode(), now - at))
        return found

    def pids(self) -> set[int]:
        """Process ids of this process and its forks, as far as they ever beat; the metrics page is limited to these."""
        return {each.pid for each in self.all()}

    def _claim(self, pid: int, name: str) -> int:
        with self._claiming:
            taken = len(self.all())
            assert taken < _ROWS, "a process family has no thousand loops"
            offset = taken * _ROW.size
            _ROW.pack_into(self._memory, offset, pid, time.monotonic(), name.encode()[:40])
            return offset


BEATS = Heartbeats()
beat = BEATS.beat
