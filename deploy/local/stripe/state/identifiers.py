"""Ids with Stripe's true prefixes, random but repeatable from a seed.

A restart continues with the seed and the number of the start, so that a seeded emulator never gives an id twice.
"""

import random
import string

# One character for each byte, so that an id is one translation of random bytes (a payment needs nine ids).
_CHARACTERS = ((string.ascii_letters + string.digits) * 5)[:256].encode()


class Identifiers:
    """Random names; with a seed, the n-th start of a database always gives the same ones."""

    def __init__(self, seed: int | None, start_number: int) -> None:
        self.random = random.Random() if seed is None else random.Random(f"{seed}:{start_number}")  # noqa: S311 - names, not secrets

    def new(self, prefix: str, length: int = 24) -> str:
        """`<prefix>_` and `length` letters and digits."""
        return f"{prefix}_{self.random.randbytes(length).translate(_CHARACTERS).decode()}"
