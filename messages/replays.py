"""Words of the ops room: work that only a worker may do, because it asks Stripe or moves messages."""

from typing import ClassVar
from uuid import UUID

from messages.base import Message


class ClassifyDue(Message):
    """Check what replaying each dead letter of this batch would mean now. Changes no money and no dead letter."""

    kind: ClassVar[str] = "classify"
    tenant_id: None = None
    batch_id: UUID


class ReplayDue(Message):
    """Replay the next dead letters of this batch. A second delivery finds them replayed."""

    kind: ClassVar[str] = "replay"
    tenant_id: None = None
    batch_id: UUID
