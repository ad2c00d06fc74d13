"""Messages of the sweep."""

from typing import ClassVar

from pydantic import AwareDatetime

from messages.base import Message


class SweepDue(Message):
    """Re-enqueue the work of stuck payments, refunds and disputes, and of unmatched webhooks, across all tenants."""

    kind: ClassVar[str] = "sweep"
    tenant_id: None = None
    due_at: AwareDatetime
