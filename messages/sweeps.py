"""Words of the clock."""

from typing import ClassVar

from pydantic import AwareDatetime

from messages.base import Message


class SweepDue(Message):
    """Look for payments that stand between two phases and for webhooks nobody matched. Work of the whole platform."""

    kind: ClassVar[str] = "sweep"
    tenant_id: None = None
    due_at: AwareDatetime
