"""Ids with Stripe's true prefixes, random but repeatable from a seed.

A restart continues with the seed and the number of the start, so that a seeded emulator never gives an id twice.
"""

import random
import string

_ALPHABET = string.ascii_letters + string.digits


class Identifiers:
    def __init__(self, seed: int | None, start_number: int) -> None:
        self.random = random.Random() if seed is None else random.Random(f"{seed}:{start_number}")  # noqa: S311 - names, not secrets

    def new(self, prefix: str, length: int = 24) -> str:
        return f"{prefix}_{''.join(self.random.choices(_ALPHABET, k=length))}"
