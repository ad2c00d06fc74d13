"""SIGTERM and Ctrl-C mean: take no new work, finish what is in hand, leave."""

import signal
from threading import Event
from types import FrameType


def stop_on_signals(stopping: Event) -> None:
    """Set the event when the process is asked to stop; call it from the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
