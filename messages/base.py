"""The base classes of messages: `Message` between our own processes, `CloudEvent` between us and other services.

A Message is work for exactly one actor (messages/queues.py has its queue and retry policy). A CloudEvent is the
structured JSON form of CloudEvents 1.0 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md).
Neither carries card data, secrets or personal data beyond what its handler needs.
"""

from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from messages.ids import PaymentId, TenantId
from messages.runtime import trace


class WireModel(BaseModel):
    """A value on the wire: frozen, and unknown fields are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(WireModel):
    """Work for one actor. `kind` is the actor's name on the wire.

    Messages with the same `ordering_key`, by default those of one payment, are published in the order in which they
    were appended. `tenant_id` is None only for work of the whole platform, such as a sweep.
    """

    kind: ClassVar[str]
    tenant_id: TenantId | None
    payment_id: PaymentId | None = None

    @property
    def ordering_key(self) -> UUID | None:
        return self.payment_id


class CloudEvent(WireModel):
    """CloudEvents 1.0 in structured JSON mode. `dataschema` contains the version of `data`.

    Extension attributes other than `traceparent` are ignored, as the specification allows.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"]
    id: str = Field(min_length=1, max_length=200)
    source: str = Field(min_length=1, max_length=500)
    type: str = Field(min_length=1, max_length=200)
    time: AwareDatetime
    subject: str | None = Field(default=None, max_length=200)
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str = Field(max_length=200)
    traceparent: str | None = Field(default=None, pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
    data: dict[str, Any]

    @field_validator("datacontenttype", mode="before")
    @classmethod
    def _without_parameters(cls, told: object) -> object:
        """Parameters say nothing about JSON, and null means not set (CloudEvents JSON format, 2.2)."""
        return "application/json" if told is None else _media_type(told)

    @field_validator("traceparent", mode="before")
    @classmethod
    def _ignored_unless_valid(cls, told: object) -> str | None:
        """An invalid traceparent begins a new trace (https://www.w3.org/TR/trace-context/#traceparent-header)."""
        return told if isinstance(told, str) and trace.is_traceparent(told) else None


def _media_type(told: object) -> object:
    return told.partition(";")[0].strip().lower() if isinstance(told, str) else told


def dataschema(event_type: str, version: int) -> str:
    """The absolute URI that identifies the type and version of a CloudEvent's data."""
    return f"urn:payment-fleet:{event_type}:{version}"


class Fact(WireModel):
    """An event published to other services: the `data` of a CloudEvent of the type `event_type`.

    Events of one subject are published in the order in which they were appended.
    """

    event_type: ClassVar[str]
    version: ClassVar[int] = 1
    tenant_id: TenantId

    @property
    def subject_id(self) -> UUID:
        raise NotImplementedError(f"{type(self).__name__} defines no subject_id")


class PublicEvent(Fact):
    """An event about one payment."""

    payment_id: PaymentId

    @property
    def subject_id(self) -> UUID:
        return self.payment_id
