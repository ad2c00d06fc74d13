"""The Stripe key, the budget of requests, and the one way to talk to another server than Stripe's: say its address.

There is no default key and no default stand-in (M10). Production takes live keys only and never another address; every
other environment refuses a live key.
"""

import re
from collections.abc import Iterator
from typing import Self

from pydantic import Field, SecretStr, model_validator

from messages.runtime.settings import FleetSettings, require_address

_KEY = re.compile(r"^(sk|rk)_(test|live)_[A-Za-z0-9_]{8,}$")


class StripeSettings(FleetSettings):
    """The Stripe account. The time limit of a message must be longer than (connect + read) x attempts."""

    stripe_secret_key: SecretStr = Field(
        description="the secret or restricted API key: sk_live_/rk_live_ in production, sk_test_/rk_test_ elsewhere"
    )
    stripe_api_base: str | None = Field(
        default=None,
        description="base URL of the Stripe API; leave it unset for Stripe, or name an emulator (never in production)",
    )
    stripe_connect_timeout_seconds: float = Field(
        default=2.0, gt=0, le=10, description="seconds to wait for a connection to Stripe"
    )
    stripe_read_timeout_seconds: float = Field(
        default=20.0, gt=0, le=80, description="seconds to wait for a response from Stripe"
    )

    @model_validator(mode="after")
    def _key_address_and_environment_fit(self) -> Self:
        problems = [*self._problems_of_the_key(), *self._problems_of_the_address()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _problems_of_the_key(self) -> Iterator[str]:
        found = _KEY.match(self.stripe_secret_key.get_secret_value())
        wanted = "live" if self.in_production else "test"
        if found is None:
            yield "STRIPE_SECRET_KEY is no Stripe key: it starts with sk_ or rk_, then test_ or live_."
        elif found[2] != wanted:
            yield f"STRIPE_SECRET_KEY is a {found[2]} key but APP_ENV is {self.app_env.value}: set a {wanted} key."

    def _problems_of_the_address(self) -> Iterator[str]:
        if self.stripe_api_base is None:
            return
        if self.in_production:
            yield "STRIPE_API_BASE is set: production talks to Stripe itself; unset it."
            return
        try:
            require_address(self.stripe_api_base, ("http", "https"))
        except ValueError as error:
            yield f"STRIPE_API_BASE: {error}."


# What Stripe grants an account a second (docs.stripe.com/rate-limits): live mode, sandbox, and any single endpoint.
LIVE_PER_SECOND, SANDBOX_PER_SECOND, ENDPOINT_PER_SECOND = 100.0, 25.0, 25.0


class BudgetSettings(FleetSettings):
    """Requests per second to Stripe of all workers together. Raise them when Stripe has raised the account's limit."""

    stripe_requests_per_second: float | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="requests per second to Stripe, all workers together; unset: 100 in production, else 25",
    )
    stripe_endpoint_requests_per_second: float = Field(
        default=ENDPOINT_PER_SECOND, ge=1, le=10_000, description="requests per second to any one endpoint of Stripe"
    )
    stripe_budget_processes: int = Field(
        default=4,
        ge=1,
        le=10_000,
        description="number of worker processes assumed to share the rate limit until the cache has counted them",
    )

    @property
    def per_second(self) -> float:
        return self.stripe_requests_per_second or (LIVE_PER_SECOND if self.in_production else SANDBOX_PER_SECOND)
