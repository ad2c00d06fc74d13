"""One typical request and response of each operation, for the OpenAPI document; a test validates them."""

from typing import Any

_PAYMENT = "01a2066c-d866-75d2-acea-a1254c0933ad"
_ORDER = "01a2066c-d100-7c44-9a1e-6f1b8f1f6a10"
_VENUE = "01a2066c-0000-7000-8000-000000000001"
_TICKETS = ("01a2066c-d101-7000-8000-00000000000a", "01a2066c-d101-7000-8000-00000000000b")
_AMOUNT = {"minor": 4200, "currency": "eur"}
_REFUND = {
    "refund_id": "01a2066e-2222-7000-8000-000000000003",
    "amount": {"minor": 2100, "currency": "eur"},
    "reason": "requested_by_customer",
    "ticket_ids": [_TICKETS[1]],
    "state": "succeeded",
    "since": "2026-11-23T11:30:00.000000Z",
}
_GROUP = "01a2066c-d200-7c44-9a1e-6f1b8f1f6a20"
_ANNA, _BEN = "01a2066c-d201-7000-8000-0000000000a1", "01a2066c-d201-7000-8000-0000000000b2"
_DEADLINE = "2026-11-26T20:00:00Z"
_SHARE = {"minor": 2100, "currency": "eur"}

REQUESTS: dict[str, Any] = {
    "createPayment": {
        "order_id": _ORDER,
        "venue_id": _VENUE,
        "event_id": "01a2066c-1111-7000-8000-000000000002",
        "tickets": [
            {"ticket_id": _TICKETS[0], "face_price_minor": 2100, "seat": "A1"},
            {"ticket_id": _TICKETS[1], "face_price_minor": 2100, "seat": "A2"},
        ],
        "amount": _AMOUNT,
        "payment_method_id": "pm_card_visa",
        "capture": "automatic",
    },
    "quoteFees": {"venue_id": _VENUE, "amount": _AMOUNT},
    "refundPayment": {"ticket_ids": [_TICKETS[1]], "reason": "requested_by_customer", "note": "buyer cannot attend"},
    "capturePayment": {"amount": _AMOUNT},
    "cancelPayment": {"reason": "requested_by_customer"},
    "openGroup": {
        "group_id": _GROUP,
        "venue_id": _VENUE,
        "event_id": "01a2066c-1111-7000-8000-000000000002",
        "tickets": [
            {"ticket_id": _TICKETS[0], "face_price_minor": 2100, "seat": "A1"},
            {"ticket_id": _TICKETS[1], "face_price_minor": 2100, "seat": "A2"},
        ],
        "amount": _AMOUNT,
        "organiser_id": _ANNA,
        "members": [
            {"member_id": _ANNA, "buyer_id": "anna", "share_minor": 2100, "ticket_ids": [_TICKETS[0]]},
            {"member_id": _BEN, "buyer_id": "ben", "share_minor": 2100, "ticket_ids": [_TICKETS[1]]},
        ],
        "deadline": _DEADLINE,
        "remind_at": ["2026-11-25T20:00:00Z"],
    },
    "payShare": {"payment_method_id": "pm_card_visa"},
    "topUpGroup": {"payment_method_id": "pm_card_visa"},
    "cancelGroup": {"note": "the group chose another date"},
    "completePayment": {},
    "quoteTax": {"venue_id": _VENUE, "amount": _AMOUNT},
}

ANSWERS: dict[str, Any] = {
    "createPayment": {"payment_id": _PAYMENT, "order_id": _ORDER, "state": "requested"},
    "quoteFees": {
        "venue_id": _VENUE,
        "amount": _AMOUNT,
        "platform_fee": {"minor": 260, "currency": "eur"},
        "venue_share": {"minor": 3940, "currency": "eur"},
    },
    "getPayment": {
        "payment_id": _PAYMENT,
        "order_id": _ORDER,
        "venue_id": _VENUE,
        "state": "succeeded",
        "reason": None,
        "capture": "automatic",
        "amount": _AMOUNT,
        "platform_fee": {"minor": 260, "currency": "eur"},
        "captured": _AMOUNT,
        "refunded": _REFUND["amount"],
        "refunds": [_REFUND],
        "created_at": "2026-11-23T10:00:00.000000Z",
        "history": [
            {"at": "2026-11-23T10:00:00.000000Z", "state": "requested", "reason": None},
            {"at": "2026-11-23T10:00:00.120000Z", "state": "charging", "reason": None},
            {"at": "2026-11-23T10:00:00.850000Z", "state": "succeeded", "reason": None},
        ],
    },
    "refundPayment": {"payment_id": _PAYMENT, "refund": _REFUND | {"state": "requested"}, "canceling": False},
    "capturePayment": {"payment_id": _PAYMENT, "state": "authorized"},
    "cancelPayment": {"payment_id": _PAYMENT, "state": "requires_action"},
    "openGroup": {"group_id": _GROUP, "state": "open"},
    "getGroup": {
        "group_id": _GROUP,
        "venue_id": _VENUE,
        "event_id": "01a2066c-1111-7000-8000-000000000002",
        "organiser_id": _ANNA,
        "state": "open",
        "reason": None,
        "amount": _AMOUNT,
        "secured": _SHARE,
        "deadline": _DEADLINE,
        "members": [
            {
                "member_id": _ANNA,
                "buyer_id": "anna",
                "share": _SHARE,
                "state": "held",
                "reason": None,
                "since": "2026-11-23T10:04:00.850000Z",
                "payment_id": _PAYMENT,
            },
            {
                "member_id": _BEN,
                "buyer_id": "ben",
                "share": _SHARE,
                "state": "invited",
                "reason": None,
                "since": "2026-11-23T10:00:00.000000Z",
                "payment_id": None,
            },
        ],
        "created_at": "2026-11-23T10:00:00.000000Z",
        "history": [{"at": "2026-11-23T10:00:00.000000Z", "state": "open", "reason": None}],
    },
    "payShare": {"payment_id": _PAYMENT, "order_id": _ORDER, "state": "requested"},
    "topUpGroup": {"payment_id": _PAYMENT, "order_id": _ORDER, "state": "requested"},
    "cancelGroup": {"group_id": _GROUP, "state": "canceled"},
    "completePayment": {"payment_id": _PAYMENT, "state": "requires_action"},
    "quoteTax": {
        "type": "urn:payment-fleet:problem:tax-not-implemented",
        "title": "Tax not implemented",
        "status": 501,
        "detail": "tax quotes are not implemented yet",
    },
}
