"""The second-person rule: above the limit another operator must agree, and nobody agrees with itself."""

import pytest

from outbox.requests.refusals import RefusedError
from outbox.requests.second_person import needs_second_person, require_second_person


@pytest.mark.parametrize(
    ("amounts", "needed"),
    [([], False), ([0], False), ([1000], False), ([1001], True), ([600, 600], False), ([1, 1001], True)],
)
def test_any_one_amount_above_the_limit_needs_a_second_operator(amounts: list[int], needed: bool) -> None:
    assert needs_second_person(amounts, limit_minor=1000) is needed


@pytest.mark.parametrize("requesters", [("ada",), ("grace", "ada"), (None, "ada")])
def test_nobody_approves_what_it_asked_for_or_started(requesters: tuple[str | None, ...]) -> None:
    with pytest.raises(RefusedError, match="a second operator must approve this; you cannot approve your own request"):
        require_second_person("ada", *requesters)


@pytest.mark.parametrize("requesters", [("grace",), (None, "grace"), ()])
def test_anybody_else_approves(requesters: tuple[str | None, ...]) -> None:
    require_second_person("ada", *requesters)
