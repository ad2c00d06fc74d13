"""What travels: `Message` between our own processes, `CloudEvent` between us and other services.

A Message names work for exactly one actor (messages/queues.py says which queue and how patient). A CloudEvent is the
structured JSON form of CloudEvents 1.0 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md).
Neither carries card data, secrets or personal data beyond what its handler needs.
"""

from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from messages.ids import PaymentId, TenantId


class WireModel(BaseModel):
    """A value that travels: frozen, and with no field that its contract does not name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(WireModel):
    """Work for one actor. `kind` is the actor's name on the wire.

    Messages of one payment are published in the order in which they were appended; `ordering_key` says which belong
    together. `tenant_id` is None only for work of the whole platform, such as a sweep.
    """

    kind: ClassVar[str]
    tenant_id: TenantId | None
    payment_id: PaymentId | None = None

    @property
    def ordering_key(self) -> UUID | None:
        return self.payment_id


class CloudEvent(WireModel):
    """CloudEvents 1.0 in structured JSON mode. `dataschema` carries the version of `data` (see `dataschema`).

    Extension attributes are dropped on reading, as the specification lets a consumer do; `traceparent` is kept.
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


def dataschema(event_type: str, version: int) -> str:
    """The absolute URI by which a CloudEvent names the version of its data."""
    return f"urn:payment-fleet:{event_type}:{version}"


class Fact(WireModel):
    """A fact we tell other services; becomes the `data` of a CloudEvent whose type is `event_type`.

    Facts of one subject leave in the order in which they were appended.
    """

    event_type: ClassVar[str]
    version: ClassVar[int] = 1
    tenant_id: TenantId

    @property
    def subject_id(self) -> UUID:
        raise NotImplementedError(f"{type(self).__name__} does not say what it is about")


class PublicEvent(Fact):
    """A fact about one payment."""

    payment_id: PaymentId

    @property
    def subject_id(self) -> UUID:
        return self.payment_id
