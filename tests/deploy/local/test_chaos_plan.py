"""Which cases chaos draws: all of it from the seed, and the short form has both ways of the money."""

from itertools import islice

from deploy.local.proofs.chaos.at_processes import AFTERWARDS, ON_SALE, POINTS
from deploy.local.proofs.chaos.catalogue import all_cases
from deploy.local.proofs.chaos.plan import Plan
from deploy.local.proofs.chaos.provoking import BY_THEMSELVES, PROVOKED

MONEY_BACK = {"1d", "3b", "4b", "5b", "6c", "7b", "26", "32"}


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    def story(seed: int) -> list[str]:
        return [f"{case.key} {chance.random()}" for case, chance in islice(Plan(seed, 10, 100).rounds(), 60)]

    assert story(5) == story(5)
    assert story(5) != story(6)


def test_money_that_comes_back_has_its_cases_and_the_short_form_some_of_them() -> None:
    assert {case.key for case in all_cases()} >= MONEY_BACK
    assert {case.key for case in Plan(1, 2, 100).cases()} & MONEY_BACK == {"3b", "4b", "26"}


def test_every_named_point_is_armed_by_some_case() -> None:
    # Cases 29 and 31, and tests/faults and tests/workers/minting: nobody buys in a group here, and there is no chain.
    others = ("replay.", "dead_letters.", "group.", "cancel_group.", "mint.", "minter.")
    elsewhere = {point for point in POINTS if point.startswith(others)}

    assert {*ON_SALE, *AFTERWARDS} | elsewhere == {*POINTS}
    assert not {*ON_SALE} & {*AFTERWARDS}


def test_whoever_is_to_die_after_a_sale_is_brought_to_that_point() -> None:
    families = {point.partition(".")[0] for point in AFTERWARDS}

    assert families == PROVOKED | BY_THEMSELVES
