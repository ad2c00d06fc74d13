"""Where the broker and the cache are, and how the public intake listens."""

import os
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from messages.runtime import crash_points
from messages.runtime.cache import CacheSettings
from messages.runtime.settings import FleetSettings, require_address, require_tls_of
from outbox.broker.urls import split

__all__ = ["BrokerSettings", "CacheSettings", "HttpSettings"]


class BrokerSettings(FleetSettings):
    """RabbitMQ 3.10 or newer: quorum queues with a delivery limit."""

    rabbitmq_url: SecretStr = Field(
        description="the RabbitMQ address, amqp://user:password@host:5672/ or amqps://; several nodes with commas"
    )

    @field_validator("rabbitmq_url")
    @classmethod
    def _an_address(cls, url: SecretStr) -> SecretStr:
        for address in split(url.get_secret_value()):
            require_address(address, ("amqp", "amqps"))
        return url

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.in_production:
            for address in split(self.rabbitmq_url.get_secret_value()):
                require_tls_of("RABBITMQ_URL", SecretStr(address), "amqps")
            # Checked with the broker's settings because every process that moves messages loads them.
            if os.environ.get(crash_points.VARIABLE):
                raise ValueError(f"{crash_points.VARIABLE} is set: production does not crash on purpose; unset it.")
        return self


class HttpSettings(FleetSettings):
    """The listener for Stripe's webhooks and the API."""

    intake_http_host: str = Field(
        default="127.0.0.1", description="the address that webhooks and the API are served on"
    )
    intake_http_port: int = Field(ge=1, le=65535, description="the port that webhooks and the API are served on")
