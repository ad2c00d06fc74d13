"""Messages for replaying dead letters: work for a worker, because it calls Stripe or republishes messages."""

from typing import ClassVar
from uuid import UUID

from messages.base import Message


class ClassifyDue(Message):
    """Classify each dead letter of this batch: what would its replay do, given current state? Changes nothing else."""

    kind: ClassVar[str] = "classify"
    tenant_id: None = None
    batch_id: UUID


class ReplayDue(Message):
    """Replay the next dead letters of this batch. A redelivery finds them replayed."""

    kind: ClassVar[str] = "replay"
    tenant_id: None = None
    batch_id: UUID
