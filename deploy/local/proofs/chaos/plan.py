"""Which cases are played, in which order, with which chance: all of it from the seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from deploy.local.proofs.chaos.cases import Case
from deploy.local.proofs.chaos.catalogue import all_cases

SHORT_MINUTES = 5.0  # below this only the cases of the short form are drawn


@dataclass(frozen=True, slots=True)
class Plan:
    """`only` names cases by key or by number; each of them then runs once, however long it takes."""

    seed: int
    minutes: float
    orders: int
    only: tuple[str, ...] = ()

    def cases(self) -> list[Case]:
        """What may be played, by number.

        Raises:
            ValueError: `only` names a case that there is not.
        """
        cases = all_cases()
        if not self.only:
            return [case for case in cases if case.short or self.minutes >= SHORT_MINUTES]
        strs = {case.key for case in cases} | {str(case.number) for case in cases}
        if unknown := set(self.only) - strs:
            raise ValueError(f"there is no case {', '.join(sorted(unknown))}; `fleet chaos --list` shows them")
        return [case for case in cases if case.key in self.only or str(case.number) in self.only]

    def rounds(self) -> Iterator[tuple[Case, Random]]:
        """Every case once in a shuffled order, then all of them again; with `only` no second time."""
        cases, number = self.cases(), 0
        while number == 0 or not self.only:
            shuffled = list(cases)
            self._chance(number).shuffle(shuffled)
            for case in shuffled:
                yield case, self._chance(number, case.key)
            number += 1

    def _chance(self, *objects: object) -> Random:
        return Random("/".join(map(str, (self.seed, *objects))))  # noqa: S311  seeded, not a secret
