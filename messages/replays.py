"""Words of the ops room: work that only a worker may do, because it asks Stripe or moves messages."""

from typing import ClassVar
from uuid import UUID

from messages.base import Message


class ClassifyDue(Message):
    """Judge, from fresh state, what replaying each letter of this batch would mean. Changes no money and no letter."""

    kind: ClassVar[str] = "classify"
    tenant_id: None = None
    batch_id: UUID


class ReplayDue(Message):
    """Replay the next letters of this batch. A second delivery finds them replayed."""

    kind: ClassVar[str] = "replay"
    tenant_id: None = None
    batch_id: UUID
