"""M9: what was planted never comes out again, and what is harmless comes out as it went in."""

import json
from datetime import date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from messages.runtime.redaction import REDACTED, redact_event, redact_text, redact_value

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BODIES = st.text(BASE62, min_size=14, max_size=24)
LENGTHS = {"3": 15, "4": 16, "5": 16, "6": 19}


def _with_check_digit(digits: str) -> str:
    doubled = [int(digit) * 2 if place % 2 == 0 else int(digit) for place, digit in enumerate(reversed(digits))]
    return digits + str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    first = draw(st.sampled_from(sorted(LENGTHS)))
    middle = LENGTHS[first] - 2
    pan = _with_check_digit(first + draw(st.text("0123456789", min_size=middle, max_size=middle)))
    gap = draw(st.sampled_from(["", " ", "-", " - ", "\u00a0"]))
    size = draw(st.sampled_from([4, 6]))
    return gap.join(pan[start : start + size] for start in range(0, len(pan), size))


def _joined(*parts: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    strategies = [st.just(part) if isinstance(part, str) else part for part in parts]
    return st.tuples(*strategies).map("".join)


KEYS = _joined(st.sampled_from(["sk_test_", "sk_live_", "rk_test_", "rk_live_", "pk_live_", "whsec_"]), BODIES)
CLIENT_SECRETS = _joined(st.sampled_from(["pi_", "seti_"]), BODIES, "_secret_", BODIES)
SIGNATURES = _joined("t=1764000000,v1=", st.text("0123456789abcdef", min_size=64, max_size=64))
TOKENS = _joined(st.sampled_from(["Bearer ", "Basic ", "bearer "]), "aB3", BODIES)
PASSWORDS = st.text(BASE62 + "@:/+#!", min_size=8, max_size=20).filter(lambda text: not text[:1].isdigit())
NAMED = _joined(
    st.sampled_from(["password=", "cvc: ", '"api_key": "', "'token': b'", "Authorization: Digest "]), "7", BODIES
)
SECRETS = card_numbers() | KEYS | CLIENT_SECRETS | SIGNATURES | TOKENS | st.emails()

# A number glued to more digits is another number; a number behind `7.` is a fraction.
AROUND = st.text(max_size=40)
BEFORE = AROUND.filter(lambda text: not text.rstrip(". \u00a0-")[-1:].isdigit())
AFTER = AROUND.filter(lambda text: not text.lstrip(" \u00a0-")[:1].isdigit())


@given(before=BEFORE, planted=SECRETS, after=AFTER)
def test_no_planted_secret_survives_in_any_text(before: str, planted: str, after: str) -> None:
    redacted = redact_text(before + planted + after)

    assert planted not in redacted


@given(before=AROUND, user=st.sampled_from(["fleet", ""]), password=PASSWORDS)
@pytest.mark.parametrize("scheme", ["postgresql", "amqps", "redis"])
def test_no_password_survives_in_an_address(scheme: str, before: str, user: str, password: str) -> None:
    assume(password not in f"{before}{scheme}://{user}:@db.internal:5432/fleet")

    redacted = redact_text(f"{before}{scheme}://{user}:{password}@db.internal:5432/fleet")

    assert password not in redacted
    assert redacted.endswith(f":{REDACTED}@db.internal:5432/fleet")


@given(
    names=st.sampled_from(["password", "client_secret", "api_key", "Stripe-Signature", "cvc", "webhook_secret"]),
    form=st.sampled_from(["{}={}", "{}: {}", '"{}": "{}"', "'{}': '{}'", "{}='{}", '\\"{}\\":\\"{}\\"', "'{}': b'{}'"]),
    secret=_joined("7", BODIES),
)
def test_no_secret_survives_behind_its_name(names: str, form: str, secret: str) -> None:
    redacted = redact_text(f"settings are {form.format(names, secret)} and more")

    assert secret not in redacted


def nests(leaf: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """The leaf, at any depth and among any neighbours, as a value and as a key."""
    other = st.none() | st.booleans() | st.integers() | st.text(max_size=10)
    return st.recursive(
        leaf,
        lambda inner: (
            st.dictionaries(st.text(max_size=8), other, max_size=2).flatmap(
                lambda neighbours: inner.map(lambda value: {**neighbours, "object": value})
            )
            | st.tuples(other, inner)
            | st.lists(inner, min_size=1, max_size=3)
        ),
        max_leaves=6,
    )


@given(data=st.data(), planted=SECRETS, before=BEFORE, after=AFTER)
def test_no_planted_secret_survives_in_any_nesting(data: st.DataObject, planted: str, before: str, after: str) -> None:
    text = before + planted + after
    nested = data.draw(nests(st.just(text) | st.just({text: 1})))

    assert planted not in str(redact_value(nested))


TELLING = (
    "client_secret Authorization stripe-signature password apiKey number cvc exp_year last4 fingerprint email "
    "receipt_email phone billing_details address receipt_url ip userAgent"
)


@pytest.mark.parametrize("name", TELLING.split())
def test_a_telling_name_hides_its_value_whatever_it_is(name: str) -> None:
    value = {"outer": [{name: {"inner": "anything"}}, {name: 7}, {name: None}]}

    assert redact_value(value) == {"outer": [{name: REDACTED}, {name: REDACTED}, {name: None}]}


THIS_CENTURY = (datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2099-12-31"))
STRIPE_IDS = _joined(st.sampled_from(["pi_", "ch_", "evt_", "re_", "txn_", "tr_", "cus_"]), "3M", BODIES)
HARMLESS = st.one_of(
    st.uuids().map(str),
    STRIPE_IDS,
    st.integers(min_value=-99_999_999, max_value=99_999_999).map(str),
    st.integers(min_value=0, max_value=99_999_999).map(lambda minor: f"{minor / 100:,.2f} EUR"),
    st.floats(min_value=0, max_value=100, allow_subnormal=False).map(lambda number: f"{number:.16f}"),
    st.datetimes(*THIS_CENTURY).map(lambda moment: moment.isoformat() + "Z"),
    st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)).map(date.isoformat),
    st.integers(min_value=1_600_000_000_000, max_value=1_999_999_999_999).map(str),
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.sampled_from(
        ["card declined: insufficient funds", "bad signature: none matched", "STRIPE_SECRET_KEY is not set"]
    ),
)


@given(pieces=st.lists(HARMLESS, min_size=1, max_size=5))
def test_harmless_text_survives_unchanged(pieces: list[str]) -> None:
    text = ", ".join(pieces)

    assert redact_text(text) == text


@given(value=st.uuids() | st.booleans() | st.none() | st.floats(allow_nan=False) | st.integers(-(10**10), 10**10))
def test_harmless_values_survive_unchanged(value: object) -> None:
    assert redact_value({"amounts": [value]}) == {"amounts": [value]}


@given(before=AROUND, planted=SECRETS | NAMED, after=AROUND)
def test_redacting_twice_changes_nothing_more(before: str, planted: str, after: str) -> None:
    once = redact_text(f"{before} {planted} {after}")

    assert redact_text(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seats 5 4242 4242 4242 4242 12/29", f"seats 5 {REDACTED} 12/29"),
        ("on 2026-01-31 4242424242424242 failed", f"on 2026-01-31 {REDACTED} failed"),
        ("Authorization: Digest s3cr3t-t0ken", f"Authorization: {REDACTED}"),
        ("key sk_test_abc", f"key sk_test_{REDACTED}"),
        ("GET /search?query=jane%40example.com&limit=1", f"GET /search?query={REDACTED}&limit=1"),
        ("http://localhost:8000/x and jane@example.com", f"http://localhost:8000/x and {REDACTED}"),
    ],
)
def test_what_stands_around_a_secret_can_still_be_read(text: str, expected: str) -> None:
    assert redact_text(text) == expected


def test_a_bottomless_payload_does_not_exhaust_the_stack() -> None:
    bottomless: Any = "jane@example.com"
    for _ in range(5_000):
        bottomless = [bottomless]

    assert "jane" not in str(redact_value(bottomless))


@given(number=st.integers() | st.integers(10**12, 10**19))
def test_a_number_is_hidden_only_when_it_can_be_a_card(number: int) -> None:
    redacted = redact_value(number)

    assert redacted == number or (redacted == REDACTED and 13 <= len(str(number)) <= 19)
    assert redact_value(4242424242424242) == REDACTED


@pytest.mark.parametrize(
    "crafted", ["1 " * 100_000, "4242-" * 50_000, "a" * 200_000 + "@", "://a:" * 20_000, "@a." * 50_000]
)
def test_a_crafted_text_is_redacted_in_time(crafted: str) -> None:
    assert redact_text(crafted + " jane@example.com").endswith(f" {REDACTED}")


def _failed_charge_event() -> dict[str, Any]:
    charge = {
        "id": "ch_3MtwBwLkdIwHu7ix28a3tqPa",
        "object": "charge",
        "amount": 4242,
        "currency": "eur",
        "status": "failed",
        "failure_code": "card_declined",
        "outcome": {"type": "issuer_declined", "reason": "insufficient_funds", "risk_score": 12},
        "balance_transaction": None,
        "payment_intent": "pi_3MtwBwLkdIwHu7ix2nQzUWab",
        "metadata": {"payment_id": str(UUID(int=7)), "note": "call jane@example.com"},
        "billing_details": {"name": "Jane Doe", "email": "jane@example.com"},
        "payment_method_details": {"type": "card", "card": {"last4": "4242", "fingerprint": "Xt5EWLLDS7FJjR1c"}},
        "receipt_url": "https://pay.stripe.com/receipts/abc",
    }
    return {
        "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_686_089_970,
        "livemode": False,
        "type": "charge.failed",
        "request": {"id": "req_aBcDeFgHiJkLmN", "idempotency_key": "charge-00000000-0000-0000-0000-000000000007-1"},
        "data": {"object": charge, "previous_attributes": {"status": "pending", "receipt_email": "jane@example.com"}},
    }


def test_an_event_keeps_what_a_handler_needs() -> None:
    event = _failed_charge_event()

    kept = redact_event(event)

    envelope = ("id", "type", "created", "livemode", "api_version", "request")
    assert {key: kept[key] for key in envelope} == {key: event[key] for key in envelope}
    assert kept["data"]["previous_attributes"] == {"status": "pending"}
    needed = ("id", "amount", "currency", "status", "failure_code", "outcome", "balance_transaction", "payment_intent")
    for key in needed:
        assert kept["data"]["object"][key] == event["data"]["object"][key]
    assert kept["data"]["object"]["metadata"]["payment_id"] == str(UUID(int=7))


def test_an_event_keeps_nothing_of_a_person_or_a_card() -> None:
    kept = json.dumps(redact_event(_failed_charge_event()))

    for personal in ("Jane", "jane@", "Xt5EWLLDS7FJjR1c", '"4242"', "receipts"):
        assert personal not in kept


@given(unknown=st.dictionaries(st.text(min_size=1).map("new_".__add__), st.text(), max_size=4))
def test_a_field_that_stripe_adds_tomorrow_stays_outside(unknown: dict[str, str]) -> None:
    event = _failed_charge_event()
    before = redact_event(event)
    event["data"]["object"].update(unknown)

    assert redact_event(event) == before
