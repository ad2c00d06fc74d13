"""The on-sale that goes on during every fault: seeded, steady, and paused only while the checker looks."""

import threading
from collections.abc import Iterator
from itertools import count

from deploy.local.demo.order_service import OrderService
from deploy.local.demo.sale import Publication


class Load:
    """Publishes from a thread of its own between `begin` and `pause`; the story goes on where it was paused."""

    def __init__(self, service: OrderService, story: Iterator[Publication], rate: float) -> None:
        self.service = service
        self.rate = rate
        self.trouble: BaseException | None = None
        self._story = story
        self._pausing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def published(self) -> int:
        return self.service.published

    def begin(self, rate: float | None = None) -> None:
        assert self._thread is None, "it goes on already"
        self._pausing.clear()
        self._thread = threading.Thread(target=self._publish, args=(rate or self.rate,), name="on-sale", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Returns when everything handed out has been confirmed by the broker."""
        self._pausing.set()
        self.finish()

    def finish(self) -> None:
        """Go on to the end of the story."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self.trouble is not None:
            raise self.trouble

    def _publish(self, rate: float) -> None:
        try:
            for _ in self.service.publish(self._until_paused(), rate=rate):
                pass
        except BaseException as error:  # noqa: BLE001  raised again where the thread is joined
            self.trouble = error

    def _until_paused(self) -> Iterator[Publication]:
        for _ in count():
            if self._pausing.is_set():
                return
            publication = next(self._story, None)
            if publication is None:
                return
            yield publication
