"""Ids are their own types, so that an order can never be passed where a payment is meant.

All of ours are UUIDv7 (time-ordered, so B-trees grow at one end); Stripe's are Stripe's prefixed strings.
"""

from typing import Annotated, NewType
from uuid import UUID

from pydantic import StringConstraints

TenantId = NewType("TenantId", UUID)
VenueId = NewType("VenueId", UUID)
OrderId = NewType("OrderId", UUID)
PaymentId = NewType("PaymentId", UUID)
RefundId = NewType("RefundId", UUID)
RecipientId = NewType("RecipientId", UUID)
ShareId = NewType("ShareId", UUID)
TransferId = NewType("TransferId", UUID)
ReversalId = NewType("ReversalId", UUID)
TicketId = NewType("TicketId", UUID)
MessageId = NewType("MessageId", UUID)

PaymentMethodId = Annotated[str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,250}$")]
AccountId = Annotated[str, StringConstraints(pattern=r"^acct_[A-Za-z0-9]{1,250}$")]
CustomerId = Annotated[str, StringConstraints(pattern=r"^cus_[A-Za-z0-9]{1,250}$")]
StripeEventId = Annotated[str, StringConstraints(pattern=r"^evt_[A-Za-z0-9_]{1,250}$")]
DisputeId = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,6}_[A-Za-z0-9_]{1,250}$")]  # dp_, of old charges du_
