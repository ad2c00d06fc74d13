"""How the control API refuses."""


class RefusedError(Exception):
    """A call that makes no sense or comes too late; `status` is 400, 404 or 409, the message says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
