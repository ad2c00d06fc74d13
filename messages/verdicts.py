"""All that a worker may say when it cannot finish. Anything else it raises is treated as TryAgain."""


class Verdict(Exception):  # noqa: N818  a verdict is a decision about the message, not an error class
    """Why a message is not done; `reason` is a sentence the person on call can act on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TryAgain(Verdict):
    """The world failed for a moment; spend one try and come back after the queue's backoff."""


class TryLater(Verdict):
    """The world says when: come back after `seconds` without spending a try (still bounded by the queue's max age)."""

    def __init__(self, reason: str, *, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class GiveUp(Verdict):
    """No retry can help; the message becomes a dead letter that a person reads."""
