"""SIGTERM and Ctrl-C mean: take no new work, finish what is in progress, exit."""

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
    """Exit with 0 on a signal before there is anything to put in order. Call it first in `main`, on the main thread.

    The first process of a container has no default action for these signals. Without a handler they are lost, and a pod
    that waited for its broker starts working and runs until it is killed.
    """

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(0)

    for number in _ASKED:
        signal.signal(number, leave)


def stop_on_signals(stopping: Event, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """From now on a signal sets the event; replaces the handlers of `leave_while_starting`. Call it from the main
    thread.

    The process then has `patience_seconds` to end by itself. A second signal changes nothing.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in _ASKED:
        signal.signal(number, stop)
    leave_at_last(stopping, patience_seconds)


def leave_at_last(stopping: Event, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Once `stopping` is set, exit with 75 after the patience, whatever the process waits for: a database or broker may
    accept connections and never answer.

    It ends as a kill at the end of the grace would end it (no cleanup, open transactions roll back), which loses
    nothing, and says why.
    """

    def watch() -> None:
        stopping.wait()
        time.sleep(patience_seconds)
        sys.stderr.write(f"Asked to stop {patience_seconds:g} s ago, and held up by what does not answer: leaving.\n")
        sys.stderr.flush()
        # Not sys.exit: on this thread it would end the thread only, and the main thread is the one that hangs.
        os._exit(EX_TEMPFAIL)

    threading.Thread(target=watch, name="leave-at-last", daemon=True).start()
