"""The exceptions with which an actor ends a failed attempt. Any other exception is treated as TryAgain."""


class Verdict(Exception):  # noqa: N818  a verdict is a decision about the message, not an error class
    """Why the message was not processed; `reason` is a sentence that the person on call can act on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TryAgain(Verdict):
    """A transient failure: count one attempt and retry after the queue's backoff."""


class TryLater(Verdict):
    """Retry after `seconds` without counting an attempt (still bounded by the queue's maximum age)."""

    def __init__(self, reason: str, *, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class GiveUp(Verdict):
    """A permanent failure: the message becomes a dead letter."""
