"""Where the cache is: Valkey or Redis. Only speed and rates may depend on it, never safety."""

import re
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from messages.runtime.settings import FleetSettings, require_address, require_tls_of


class OptionalCacheSettings(FleetSettings):
    """For a process that only publishes its load there, for the scale signals, and runs without a cache too."""

    redis_url: SecretStr | None = Field(
        default=None, description="the Valkey or Redis address, redis://host:6379/0 or rediss://"
    )

    @property
    def client_url(self) -> str:
        """As redis-py reads it, which does not know Valkey's own schemes. Only the scheme: the host may be `valkey`."""
        assert self.redis_url is not None, "ask whether there is one first"
        return re.sub("^valkey", "redis", self.redis_url.get_secret_value())

    @field_validator("redis_url")
    @classmethod
    def _an_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            require_address(url.get_secret_value(), ("redis", "rediss", "valkey", "valkeys"))
        return url

    @model_validator(mode="after")
    def _encrypted_in_production(self) -> Self:
        if self.in_production and self.redis_url is not None:
            require_tls_of("REDIS_URL", self.redis_url, "rediss", "valkeys")
        return self


class CacheSettings(OptionalCacheSettings):
    """Valkey or Redis, for rates and fast replays of API answers; no safety depends on it."""

    redis_url: SecretStr = Field(description="the Valkey or Redis address, redis://host:6379/0 or rediss://")
