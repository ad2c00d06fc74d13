"""SIGTERM and Ctrl-C mean: take no new work, finish what is in hand, leave."""

import os
import signal
import sys
import threading
import time
from threading import Event
from types import FrameType
from typing import NoReturn

# Shorter than the shortest grace of the manifests, 30 s.
PATIENCE_SECONDS = 25.0
EX_TEMPFAIL = 75  # sysexits.h
_ASKED = (signal.SIGTERM, signal.SIGINT)


def leave_while_starting() -> None:
    """Asked to stop before there is anything to put in order: leave. Said first in `main`.

    The first process of a container has no default for these signals. Without a handler they are lost, and a pod that
    waited for its broker goes on to work until it is killed.
    """

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(0)

    for number in _ASKED:
        signal.signal(number, leave)


def stop_on_signals(stopping: Event, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Set the event when the process is asked to stop; call it from the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in _ASKED:
        signal.signal(number, stop)
    leave_at_last(stopping, patience_seconds)


def leave_at_last(stopping: Event, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Once asked to stop, nobody is waited for beyond this: a database or broker may be there and not answer.

    It ends as a kill at the end of the grace would end it, which loses nothing, and says why.
    """

    def watch() -> None:
        stopping.wait()
        time.sleep(patience_seconds)
        sys.stderr.write(f"Asked to stop {patience_seconds:g} s ago, and held up by what does not answer: leaving.\n")
        sys.stderr.flush()
        os._exit(EX_TEMPFAIL)

    threading.Thread(target=watch, name="leave-at-last", daemon=True).start()
