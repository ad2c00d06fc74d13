"""Where the broker and the cache are, and how the public intake listens."""

import os
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from messages import crash_points
from messages.settings import FleetSettings, require_address, require_tls


class BrokerSettings(FleetSettings):
    rabbitmq_url: SecretStr = Field(description="the RabbitMQ address, amqp://user:password@host:5672/ or amqps://")

    @field_validator("rabbitmq_url")
    @classmethod
    def _an_address(cls, url: SecretStr) -> SecretStr:
        require_address(url.get_secret_value(), ("amqp", "amqps"))
        return url

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.in_production:
            _require_tls("RABBITMQ_URL", self.rabbitmq_url, "amqps")
            if os.environ.get(crash_points.VARIABLE):
                raise ValueError(f"{crash_points.VARIABLE} is set: production does not crash on purpose; unset it.")
        return self


class CacheSettings(FleetSettings):
    """Valkey or Redis. Only speed may depend on it, never safety."""

    redis_url: SecretStr = Field(description="the Valkey or Redis address, redis://host:6379/0 or rediss://")

    @property
    def address(self) -> str:
        """As the client library reads it, which knows Valkey by Redis' name."""
        return self.redis_url.get_secret_value().replace("valkey", "redis", 1)

    @field_validator("redis_url")
    @classmethod
    def _an_address(cls, url: SecretStr) -> SecretStr:
        require_address(url.get_secret_value(), ("redis", "rediss", "valkey", "valkeys"))
        return url

    @model_validator(mode="after")
    def _encrypted_in_production(self) -> Self:
        if self.in_production:
            _require_tls("REDIS_URL", self.redis_url, "rediss", "valkeys")
        return self


class HttpSettings(FleetSettings):
    intake_http_host: str = Field(default="127.0.0.1", description="the address the webhook listener binds")
    intake_http_port: int = Field(ge=1, le=65535, description="the port the webhook listener binds")


def _require_tls(name: str, url: SecretStr, *schemes: str) -> None:
    try:
        require_tls(url.get_secret_value(), schemes)
    except ValueError as error:
        raise ValueError(f"{name}: {error}.") from None
