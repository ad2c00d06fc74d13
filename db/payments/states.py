"""The states of a payment, and its legal moves.

    requested -> canceled (before anything was sent)
              -> charging -+-> succeeded
                           +-> authorized ------> succeeded | canceled
                           +-> requires_action -> succeeded | authorized | processing | failed | canceled
                           +-> processing ------> succeeded | authorized | requires_action | failed | canceled
                           +-> failed ----------> (another card on the same intent) succeeded | authorized | ...
                           +-> canceled

`failed` is not final on purpose: Stripe keeps the intent of a declined payment open, and a buyer who then pays it with
another card has really paid. `succeeded` and `canceled` are final.
"""

from enum import StrEnum

from db.lifecycle import legal_moves


class PaymentState(StrEnum):
    REQUESTED = "requested"
    CHARGING = "charging"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


PAYMENT_MOVES = legal_moves(
    PaymentState,
    requested="charging canceled",
    charging="succeeded authorized requires_action processing failed canceled",
    requires_action="succeeded authorized processing failed canceled",
    processing="succeeded authorized requires_action failed canceled",
    authorized="succeeded canceled",
    succeeded="",
    failed="succeeded authorized requires_action processing canceled",
    canceled="",
)
