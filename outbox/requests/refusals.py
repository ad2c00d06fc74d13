"""How a request is refused, whoever made it: one exception, raised before anything is written."""


class RefusedError(Exception):
    """The request cannot be granted, and nothing was written.

    The sentence is for people and says what to do instead; `code` is for machines (problem codes, recorded answers).
    """

    def __init__(self, sentence: str, *, code: str = "refused") -> None:
        super().__init__(sentence)
        self.code = code


def require(given: object, otherwise: str) -> None:
    """Refuse unless `given` is true, not empty and not zero.

    Raises:
        RefusedError: with the sentence `otherwise`.
    """
    if not given:
        raise RefusedError(otherwise)
