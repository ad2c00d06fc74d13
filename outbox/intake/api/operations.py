"""ONE table of what the API can do: path, who may, how often, what is read and answered.

Routes and the OpenAPI document are made of it (app.py, openapi.py), so neither can say what the other does not.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from db.session import Tx
from messages.base import WireModel
from outbox.intake.api import groups, payments, refunds, schemas
from outbox.intake.api.callers import Permission
from outbox.intake.api.idempotency import StoredAnswer
from outbox.intake.api.payments import ApiRequest
from outbox.intake.api.rate_limits import Limit


@dataclass(frozen=True, slots=True)
class Operation:
    """`reads` is None without a body; `problems` are the statuses this one adds to those that each may answer."""

    name: str
    method: str
    path: str
    summary: str
    permission: Permission
    work: Callable[[Tx, ApiRequest], StoredAnswer]
    answers: type[WireModel]
    status: int
    reads: type[WireModel] | None = None
    limit: Limit | None = None
    problems: tuple[int, ...] = ()

    @property
    def needs_body(self) -> bool:
        return self.reads is not None and any(field.is_required() for field in self.reads.model_fields.values())

    @property
    def names_in_path(self) -> list[str]:
        """`payment_id`, ...: each a UUID."""
        return re.findall(r"{(\w+)}", self.path)


OPERATIONS = (
    Operation(
        name="createPayment",
        method="POST",
        path="/payments",
        summary="Have an order charged; the same order again is the same payment",
        permission=Permission.CREATE,
        work=payments.create,
        reads=schemas.PaymentRequest,
        answers=schemas.PaymentAccepted,
        status=202,
        limit=Limit.PAYMENTS,
    ),
    Operation(
        name="quoteFees",
        method="POST",
        path="/fees/quote",
        summary="What the platform keeps of a sale",
        permission=Permission.QUOTE_FEES,
        work=payments.quote_fees,
        reads=schemas.QuoteRequest,
        answers=schemas.FeeQuote,
        status=200,
    ),
    Operation(
        name="getPayment",
        method="GET",
        path="/payments/{payment_id}",
        summary="How a payment stands, and how it came there",
        permission=Permission.READ,
        work=payments.show,
        answers=schemas.PaymentView,
        status=200,
        problems=(404,),
    ),
    Operation(
        name="refundPayment",
        method="POST",
        path="/payments/{payment_id}/refunds",
        summary="Give money back: an amount, tickets, or all that is left",
        permission=Permission.REFUND,
        work=refunds.refund,
        reads=schemas.RefundAsked,
        answers=schemas.RefundAccepted,
        status=202,
        limit=Limit.REFUNDS,
        problems=(404,),
    ),
    Operation(
        name="capturePayment",
        method="POST",
        path="/payments/{payment_id}/capture",
        summary="Take a held amount, or a part of it",
        permission=Permission.CAPTURE,
        work=refunds.capture,
        reads=schemas.CaptureAsked,
        answers=schemas.PaymentAsked,
        status=202,
        problems=(404,),
    ),
    Operation(
        name="cancelPayment",
        method="POST",
        path="/payments/{payment_id}/cancel",
        summary="Call a payment off before its money is taken",
        permission=Permission.CANCEL,
        work=refunds.cancel,
        reads=schemas.CancelAsked,
        answers=schemas.PaymentAsked,
        status=202,
        problems=(404,),
    ),
    Operation(
        name="openGroup",
        method="POST",
        path="/groups",
        summary="Have several buyers pay one order in shares, all or nothing, by a deadline",
        permission=Permission.CREATE,
        work=groups.open_group,
        reads=schemas.GroupRequest,
        answers=schemas.GroupAccepted,
        status=202,
        limit=Limit.PAYMENTS,
    ),
    Operation(
        name="getGroup",
        method="GET",
        path="/groups/{group_id}",
        summary="How a group stands, member by member, and how it came there",
        permission=Permission.READ,
        work=groups.show,
        answers=schemas.GroupView,
        status=200,
        problems=(404,),
    ),
    Operation(
        name="payShare",
        method="POST",
        path="/groups/{group_id}/members/{member_id}/payments",
        summary="A member pays its share; the money is only held until everybody has paid",
        permission=Permission.CREATE,
        work=groups.pay_share,
        reads=schemas.ShareMeans,
        answers=schemas.PaymentAccepted,
        status=202,
        limit=Limit.PAYMENTS,
        problems=(404,),
    ),
    Operation(
        name="topUpGroup",
        method="POST",
        path="/groups/{group_id}/top-up",
        summary="The organiser pays every share that nobody is paying",
        permission=Permission.CREATE,
        work=groups.top_up,
        reads=schemas.ShareMeans,
        answers=schemas.PaymentAccepted,
        status=202,
        limit=Limit.PAYMENTS,
        problems=(404,),
    ),
    Operation(
        name="cancelGroup",
        method="POST",
        path="/groups/{group_id}/cancel",
        summary="Call a group off: what is held is released, what was captured given back",
        permission=Permission.CANCEL,
        work=groups.cancel,
        reads=schemas.GroupCancelAsked,
        answers=schemas.GroupAccepted,
        status=202,
        problems=(404,),
    ),
    Operation(
        name="completePayment",
        method="POST",
        path="/internal/payments/{payment_id}/complete",
        summary="The buyer has finished 3-D Secure: ask Stripe now",
        permission=Permission.COMPLETE,
        work=payments.complete,
        reads=schemas.Nothing,
        answers=schemas.PaymentAsked,
        status=202,
        problems=(404,),
    ),
    Operation(
        name="quoteTax",
        method="POST",
        path="/internal/tax/quote",
        summary="Not built yet: always 501",
        permission=Permission.QUOTE_TAX,
        work=payments.quote_tax,
        reads=schemas.QuoteRequest,
        answers=schemas.ProblemDocument,
        status=501,
    ),
)
