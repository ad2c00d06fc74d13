"""The one table of API operations: path, permission, rate limit, request and response schemas.

Routes (app.py) and the OpenAPI document (openapi.py) are built from it, so they always agree.
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
    """One operation of the API.

    Attributes:
        name: the operationId; also the `operation` label of the metrics, so it does not change.
        path: with the path parameters in braces; each is a UUID.
        permission: what the caller's token must grant.
        work: does it, in one transaction of the caller's tenant. Its docstring is public: the OpenAPI description.
        answers: the model of the successful response, which has the status `status`.
        reads: the model of the body; None for an operation without a body, which is a GET.
        limit: the caller's own window for it; None counts towards REQUESTS only.
        problems: error statuses beyond those of every operation.
    """

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
        """True when the body has a required field; otherwise an empty body stands for an empty object."""
        return self.reads is not None and any(field.is_required() for field in self.reads.model_fields.values())

    @property
    def names_in_path(self) -> list[str]:
        """The path parameters, such as `payment_id`; each is a UUID."""
        return re.findall(r"{(\w+)}", self.path)


OPERATIONS = (
    Operation(
        name="createPayment",
        method="POST",
        path="/payments",
        summary="Create a payment for an order (idempotent per order)",
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
        summary="Quote the platform fee for a sale",
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
        summary="Get a payment with its state history",
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
        summary="Refund a payment: an amount, specific tickets, or the remaining balance",
        permission=Permission.REFUND,
        work=refunds.refund,
        reads=schemas.RefundRequest,
        answers=schemas.RefundAccepted,
        status=202,
        limit=Limit.REFUNDS,
        problems=(404,),
    ),
    Operation(
        name="capturePayment",
        method="POST",
        path="/payments/{payment_id}/capture",
        summary="Capture an authorized payment, in full or in part",
        permission=Permission.CAPTURE,
        work=refunds.capture,
        reads=schemas.CaptureRequest,
        answers=schemas.PaymentActionAccepted,
        status=202,
        problems=(404,),
    ),
    Operation(
        name="cancelPayment",
        method="POST",
        path="/payments/{payment_id}/cancel",
        summary="Cancel a payment that has not been captured",
        permission=Permission.CANCEL,
        work=refunds.cancel,
        reads=schemas.CancelRequest,
        answers=schemas.PaymentActionAccepted,
        status=202,
        problems=(404,),
    ),
    Operation(
        name="openGroup",
        method="POST",
        path="/groups",
        summary="Open a group payment: several buyers pay one order by a deadline, all or nothing",
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
        summary="Get a group with its members and state history",
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
        summary="Pay a member's share; it is captured once every member has paid",
        permission=Permission.CREATE,
        work=groups.pay_share,
        reads=schemas.SharePaymentRequest,
        answers=schemas.PaymentAccepted,
        status=202,
        limit=Limit.PAYMENTS,
        problems=(404,),
    ),
    Operation(
        name="topUpGroup",
        method="POST",
        path="/groups/{group_id}/top-up",
        summary="Pay all unpaid shares as the organiser",
        permission=Permission.CREATE,
        work=groups.top_up,
        reads=schemas.SharePaymentRequest,
        answers=schemas.PaymentAccepted,
        status=202,
        limit=Limit.PAYMENTS,
        problems=(404,),
    ),
    Operation(
        name="cancelGroup",
        method="POST",
        path="/groups/{group_id}/cancel",
        summary="Cancel a group: release authorizations and refund captures",
        permission=Permission.CANCEL,
        work=groups.cancel,
        reads=schemas.GroupCancelRequest,
        answers=schemas.GroupAccepted,
        status=202,
        problems=(404,),
    ),
    Operation(
        name="completePayment",
        method="POST",
        path="/internal/payments/{payment_id}/complete",
        summary="Refresh a payment from Stripe after the buyer completed 3-D Secure",
        permission=Permission.COMPLETE,
        work=payments.complete,
        reads=schemas.EmptyObject,
        answers=schemas.PaymentActionAccepted,
        status=202,
        problems=(404,),
    ),
    Operation(
        name="quoteTax",
        method="POST",
        path="/internal/tax/quote",
        summary="Quote the tax for a sale (not implemented: always 501)",
        permission=Permission.QUOTE_TAX,
        work=payments.quote_tax,
        reads=schemas.QuoteRequest,
        answers=schemas.ProblemDocument,
        status=501,
    ),
)
