"""A budget of each test's own in the stack's Valkey, and askers for it."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from pydantic import SecretStr

from deploy.local.stack.stack import Stack
from messages.runtime.cache import CacheSettings
from stripe_client.rate_limit.limiter import RateLimiter
from stripe_client.rate_limit.shared_budget import SharedBudget
from stripe_client.settings import BudgetSettings

MakeGovernor = Callable[..., RateLimiter]


@pytest.fixture
def budget_name() -> str:
    return f"test-{uuid4().hex[:12]}"


@pytest.fixture
def budget(stack: Stack, budget_name: str) -> Iterator[SharedBudget]:
    shared = SharedBudget.at(stack.valkey.url, name=budget_name)
    yield shared
    shared.close()


@pytest.fixture
def governor_of(stack: Stack, budget_name: str) -> Iterator[MakeGovernor]:
    """`governor_of(per_second=25)`: as one worker process has it. All of one test share one budget."""
    made: list[RateLimiter] = []

    def make(*, per_second: float = 25.0, endpoint: float | None = None, url: str | None = None) -> RateLimiter:
        settings = BudgetSettings(
            app_env="test",  # type: ignore[arg-type]
            stripe_requests_per_second=per_second,
            stripe_endpoint_requests_per_second=endpoint or per_second,
            stripe_budget_processes=2,
        )
        cache = CacheSettings(app_env="test", redis_url=SecretStr(url or stack.valkey.url))  # type: ignore[arg-type]
        made.append(RateLimiter(settings, cache, name=budget_name))
        return made[-1]

    yield make
    for governor in made:
        governor.close()
