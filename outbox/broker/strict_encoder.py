"""The wire form of our own messages, validated strictly before Dramatiq acts on any of it.

Dramatiq builds its message from whatever JSON it is given. A list for an actor, a word for a time limit or another
queue's name then end a consumer or a worker thread, and the broker delivers the same bytes again until the delivery
limit. Here such bytes are rejected at the first delivery, and so become a dead letter that says what they are. Unknown
fields and options are ignored, because old and new versions run side by side during a deploy. The payload is not
validated here: the actor does that, and its dead letter can say more.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from dramatiq.encoder import JSONEncoder
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

_Counter = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]


class _Options(BaseModel):
    """Our options are typed; those that Dramatiq itself would obey (a delay, a time limit, a pipeline) must be
    absent.
    """

    model_config = ConfigDict(extra="ignore")

    run: _Counter = 1
    attempt: _Counter = 1
    trace_id: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    span_id: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    first_appended_ms: Annotated[StrictInt, Field(ge=0, le=2**53)] | None = None
    replayed: StrictBool = False
    eta: None = None
    time_limit: None = None
    throws: None = None
    pipe_target: None = None


class _Wire(BaseModel):
    """The fields of dramatiq.Message: no positional arguments, and one keyword argument, `payload`, which is a JSON
    object.
    """

    model_config = ConfigDict(extra="ignore")

    queue_name: StrictStr
    actor_name: StrictStr
    args: Annotated[list[Any], Field(max_length=0)]
    named_args: Annotated[dict[Literal["payload"], dict[str, Any]], Field(alias="kwargs", min_length=1)]
    options: _Options
    message_id: UUID
    message_timestamp: StrictInt


class StrictEncoder(JSONEncoder):
    """Set with `dramatiq.set_encoder`; what it rejects, the consumer rejects to the dead letter queue."""

    def decode(self, data: bytes) -> dict[str, Any]:
        """The fields of a dramatiq.Message.

        Raises:
            pydantic.ValidationError: the bytes are no message of ours (Dramatiq turns it into its DecodeError).
        """
        return _Wire.model_validate_json(data).model_dump(mode="json", exclude_unset=True, by_alias=True)
