r"""What must never be read later is taken out before it is written: log lines, dead letters, the webhook inbox (M9).

`redact_text` knows secrets by their form, `redact_value` knows them by the name of their key as well, and
`redact_event` turns it around for Stripe's webhooks: it keeps only what is named here, so a field that Stripe adds
tomorrow stays outside until somebody asks for it. When in doubt all three take out too much; running them twice
changes nothing more.

What is NOT seen in free text: names, street addresses and IP addresses (no form tells them from other words), a card
number glued to other digits, behind `<digit>.` (that is a fraction) or written digit by digit. So never log payloads.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

REDACTED = "[redacted]"

# Deeper than any Stripe object; what lies below is dropped, so that a crafted payload cannot exhaust the stack.
_DEEPEST = 64

# Looked up without case, dashes and underscores: `Stripe-Signature`, `stripe_signature` and `stripeSignature` are one.
_CREDENTIAL_KEYS = (
    "authorization proxy_authorization cookie set_cookie signature stripe_signature client_secret secret password "
    "passwd pwd passphrase token access_token refresh_token api_key private_key dsn"
)
# PCI DSS lets one print the last four digits, yet with a name or an address they single out a person, no handler
# needs them, and the dashboard shows them to whoever may see them. The same goes for the fingerprint and expiry.
_CARD_KEYS = (
    "number card_number pan cvc cvc2 cvv cvv2 cid exp exp_month exp_year expiry last4 dynamic_last4 iin bin "
    "fingerprint track1 track2 account_number routing_number iban"
)
_PERSONAL_KEYS = (
    "email receipt_email customer_email phone address billing_details shipping shipping_details customer_details owner "
    "first_name last_name full_name customer_name cardholder_name dob ssn_last_4 line1 line2 postal_code ip ip_address "
    "client_ip customer_purchase_ip x_forwarded_for user_agent receipt_url hosted_invoice_url"
)
_TELLING_ENDINGS = ("secret", "password", "token", "apikey", "signature", "email", "phone")


def redact_text(text: str) -> str:
    """The same text without card numbers, keys, secrets, signatures, passwords and e-mail addresses.

    Cheap by scent: a pattern runs only when a fixed piece of it is there at all. About 3 µs for a plain log line.
    """
    lowered = text.lower()
    for scents, pattern, replacement in _PATTERNS:
        for scent in scents:
            if scent in lowered:
                text = pattern.sub(replacement, text)
                break
    if _MANY_DIGITS.search(text):
        text = _NUMBERS.sub(_redact_number, text)
    return text


def redact_value(value: object) -> object:
    """The same shape with secrets taken out: by the name of their key, and by their form in keys, texts and numbers.

    None, booleans, floats and UUIDs stay as they are; an object of any other type becomes its redacted text.
    """
    return _redact(value, _DEEPEST)


def redact_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """A Stripe event as the inbox keeps it: ids, states, amounts, reasons, times and our metadata; nothing of a person.

    An allow-list by key at every depth (docs.stripe.com/api/events/object), so `previous_attributes` shrinks alike.
    """
    return _keep(event, _DEEPEST)


# --- texts ---------------------------------------------------------------------------------------------------------

# A value behind `name=` or `"name": `, quoted (also in escaped JSON) or bare.
_ASSIGNED = r"""["'\\]*\s*[:=]\s*"""
_ASSIGNED_VALUE = r"""(?:[bru]?(?P<quote>\\*["'])(?:(?!(?P=quote)).)*|[^\s&"']+)"""
# "signature: missing" is a sentence, "signature: 5f2a" is not.
_NO_PROSE = r"""(?!(?<=:\s)[A-Za-z]{1,19}(?:[\s.,;)]|$))"""
_LOCAL_PART = r"""[^\s@<>()\[\]{}"',;:=/\\|&?]"""

_Replacement = str | Callable[[re.Match[str]], str]
# Scents are lower case. The URL goes before the e-mail address: `user:password@host` would look like one.
_PATTERNS: list[tuple[tuple[str, ...], re.Pattern[str], _Replacement]] = [
    (("_test_", "_live_"), re.compile(r"([srpe]k_(?:org_)?(?:test|live)_)\w{3,}"), rf"\1{REDACTED}"),
    (("whsec_",), re.compile(r"whsec_[\w+/=-]{3,}"), f"whsec_{REDACTED}"),
    (("_secret_",), re.compile(r"(?<=[0-9A-Za-z]{10})_secret_[0-9A-Za-z]{6,}"), f"_secret_{REDACTED}"),
    (("v1=", "v0="), re.compile(r"(v[01]=)[0-9A-Fa-f]{16,}"), rf"\1{REDACTED}"),
    (
        ("bearer", "basic"),  # a long or mixed word behind it is a token; "basic structure" is prose
        re.compile(r"(?i:(bearer|basic))(\s+|%20|\+)(?:(?=[a-z.]*[^a-z.\s\"',;])[^\s\"',;]{8,}|[^\s\"',;]{20,})"),
        rf"\1\2{REDACTED}",
    ),
    (
        ("://",),  # greedy up to the last @, for passwords nobody encoded; a port is not a password
        re.compile(r"""(://[^\s:/@]*:)(?!\d{1,5}(?:[\s/?#"',;)]|$))\S{0,256}@"""),
        rf"\1{REDACTED}@",
    ),
    (
        ("@", "%40"),
        re.compile(rf"(?:(?<!{_LOCAL_PART}){_LOCAL_PART}+|(?<=[^\s\]]))(?:@|%40)(?:[\w-]+\.)+[\w-]{{2,}}"),
        REDACTED,
    ),
    (
        ("password", "passwd", "pwd", "passphrase", "cvc", "cvv"),
        re.compile(rf"((?i:password|passwd|pwd|passphrase|cvc2?|cvv2?){_ASSIGNED}){_ASSIGNED_VALUE}"),
        rf"\1{REDACTED}",
    ),
    (
        ("secret", "token", "api_key", "api-key", "apikey", "signature", "cookie"),
        re.compile(rf"((?i:secret|token|api[_-]?key|signature|cookie){_ASSIGNED}){_NO_PROSE}{_ASSIGNED_VALUE}"),
        rf"\1{REDACTED}",
    ),
    (
        ("authorization",),  # an unknown scheme and its token are two words
        re.compile(rf"((?i:authorization){_ASSIGNED})(?!\[redacted){_ASSIGNED_VALUE}(?:(?<![\"'])[ \t]+[^\s\"']+)?"),
        rf"\1{REDACTED}",
    ),
]

# --- card numbers --------------------------------------------------------------------------------------------------

_GAP = r"[ \u00a0-]{1,3}"
# Where a run of digits may begin that is long enough: not inside a number, nor in the fraction of one.
_LONG_RUN = r"(?<![0-9])(?<![0-9]\.)(?=(?:[0-9][ \u00a0-]{0,3}){13})[0-9]{3}"
_MANY_DIGITS = re.compile(_LONG_RUN)
# Our own long numbers, which may pass the Luhn check by chance (one in ten does).
_OURS = "|".join(
    [
        r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
        # Trace ids (with the rest of a traceparent), SHA-1 and SHA-256.
        r"(?<![0-9A-Za-z])[0-9a-f]{32}(?:-[0-9a-f]{16}-[0-9a-f]{2}|[0-9a-f]{8}|[0-9a-f]{32})?(?![0-9A-Za-z])",
        r"(?<![0-9A-Za-z])(?:pi|ch|py|pyr|evt|re|tr|trr|txn|cus|pm|seti|du|dp|po|fee|fr|acct|req|in|sub)_"
        r"(?=[0-9]*[A-Za-z])[0-9A-Za-z]{14,}",
        r"(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?![0-9])",
        # Wallets and token ids of the chain.
        r"(?<![0-9A-Za-z])0x(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40})(?![0-9A-Za-z])",
        # 20251123014922
        r"20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9](?![0-9])",
    ]
)
_NUMBERS = re.compile(rf"(?P<ours>{_OURS})|{_LONG_RUN}[0-9]*(?:{_GAP}(?!{_OURS})[0-9]+)*")
_DIGITS = re.compile(_LONG_RUN)
# Our own long numbers, which may pass the Luhn check by chance (one in ten does).
_OURS = "|".join(
    [
        r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
        # Trace ids (with the rest of a traceparent), SHA-1 and SHA-256.
        r"(?<![0-9A-Za-z])[0-9a-f]{32}(?:-[0-9a-f]{16}-[0-9a-f]{2}|[0-9a-f]{8}|[0-9a-f]{32})?(?![0-9A-Za-z])",
        r"(?<![0-9A-Za-z])(?:pi|ch|py|pyr|evt|re|tr|trr|txn|cus|pm|seti|du|dp|po|fee|fr|acct|req|in|sub)_"
        r"(?=[0-9]*[A-Za-z])[0-9A-Za-z]{14,}",
        r"(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?![0-9])",
        # Wallets and token ids of the chain.
        r"(?<![0-9A-Za-z])0x(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40})(?![0-9A-Za-z])",
        # 20251123014922
        r"20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9](?![0-9])",
    ]
)
_NUMBERS = re.compile(
    rf"(?P<ours>{_OURS})"
    rf"|(?<![0-9])(?<![0-9]\.)(?=(?:[0-9][ \u00a0-]{{0,3}}){{13}})[0-9]{{3,}}(?:{_GAP}(?!{_OURS})[0-9]+)*"
)
_DIGITS = re.compile(r"[0-9]+")
_DOUBLED = str.maketrans("0123456789", "0246813579")


def _redact_number(match: re.Match[str]) -> str:
    """Take out from the first group of digits to the last that form a card number; what stands around them stays."""
    if match["ours"]:
        return match[0]
    run = match[0]
    groups = [(group.start(), group.end(), group[0]) for group in _DIGITS.finditer(run)]
    cards = [span for first in range(len(groups)) for span in _cards_from(groups[first : first + 6])]
    if not cards:
        return run
    return run[: min(start for start, _ in cards)] + REDACTED + run[max(end for _, end in cards) :]


def _cards_from(groups: list[tuple[int, int, str]]) -> list[tuple[int, int]]:
    """Card numbers that begin with the first group: at most six groups, all but the last of three digits or more."""
    spans, digits = [], ""
    for _, end, group in groups:
        digits += group
        if _is_card_number(digits):
            spans.append((groups[0][0], end))
        if len(group) < 3 or len(digits) > 19:
            break
    return spans


def _is_card_number(digits: str) -> bool:
    """13 to 19 digits that pass the Luhn check (ISO/IEC 7812-1, annex B).

    None begins with 0, nor at Stripe with 1 (airline cards); times in milli-, micro- and nanoseconds do until 2033.
    """
    if not 13 <= len(digits) <= 19 or digits[0] in "01":
        return False
    doubled = digits[-2::-2].translate(_DOUBLED)
    return (sum(map(int, digits[::-2])) + sum(map(int, doubled))) % 10 == 0


# --- values --------------------------------------------------------------------------------------------------------


def _squeezed(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(" ", "")


_TELLING_KEYS = frozenset(map(_squeezed, f"{_CREDENTIAL_KEYS} {_CARD_KEYS} {_PERSONAL_KEYS}".split()))


@lru_cache(maxsize=4096)
def _redact_key(key: str) -> tuple[str, bool]:
    """The key as it may be shown, and whether its name alone says that the value must go."""
    squeezed = _squeezed(key)
    return redact_text(key), squeezed in _TELLING_KEYS or squeezed.endswith(_TELLING_ENDINGS)


def _redact(value: object, depth: int) -> object:  # noqa: PLR0911  one line per kind of value
    kind = type(value)
    if kind is str:
        return redact_text(value)  # type: ignore[arg-type]  # `kind is str` is the fastest test, and mypy cannot see it
    if value is None or kind is bool or kind is float or kind is UUID:
        return value
    if kind is int:
        return REDACTED if 10**12 <= value < 10**19 and _is_card_number(str(value)) else value  # type: ignore[operator]
    if depth == 0:
        return REDACTED
    if isinstance(value, Mapping):
        return _redact_mapping(value, depth - 1)
    if isinstance(value, list | tuple | set | frozenset):
        parts = [_redact(part, depth - 1) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, bytes | bytearray):
        return redact_text(bytes(value).decode("utf-8", "backslashreplace"))
    return redact_text(str(value))


def _redact_mapping(mapping: Mapping[Any, object], depth: int) -> dict[str, object]:
    redacted: dict[str, object] = {}
    for key, value in mapping.items():
        shown, telling = _redact_key(key if type(key) is str else str(key))
        redacted[shown] = REDACTED if telling and value is not None else _redact(value, depth)
    return redacted


# --- Stripe's events -----------------------------------------------------------------------------------------------

_KEPT_KEYS = (
    # the envelope
    "id object type created livemode api_version account context data previous_attributes request idempotency_key "
    "pending_webhooks has_more total_count "
    # amounts
    "amount amount_captured amount_capturable amount_received amount_refunded amount_reversed amount_due "
    "application_fee application_fee_amount currency exchange_rate fee fee_details net available_on arrival_date "
    "presentment_details presentment_amount presentment_currency available pending instant_available "
    # states and reasons
    "status state reason paid captured refunded disputed reversed capture_method capture_before confirmation_method "
    "cancellation_reason canceled_at failure_code failure_reason failure_balance_transaction pending_reason outcome "
    "advice_code network_advice_code network_decline_code network_status network_reason_code risk_level risk_score "
    "rule seller_message last_payment_error code decline_code next_action processing is_charge_refundable has_evidence "
    "evidence_details due_by past_due submission_count charges_enabled payouts_enabled details_submitted requirements "
    "disabled_reason reporting_category "
    # other objects, by id or expanded
    "balance_transaction balance_transactions payment_intent latest_charge charge charges refund refunds dispute "
    "transfer transfer_data transfer_group transfer_reversal source_transfer source_transfer_reversal "
    "source_refund destination_payment_refund reversals source_transaction source source_type destination "
    "destination_payment payout customer payment_method payment_method_details on_behalf_of application invoice "
    "setup_intent source_id"
)
_KEPT = frozenset(_KEPT_KEYS.split())


def _keep(mapping: Mapping[str, Any], depth: int) -> dict[str, Any]:
    kept = {key: _keep_value(value, depth - 1) for key, value in mapping.items() if key in _KEPT}
    if "metadata" in mapping:  # all of it is ours, yet a person may have typed something into it
        kept["metadata"] = _redact(mapping["metadata"], depth - 1)
    return kept


def _keep_value(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        return _keep(value, depth) if depth > 0 else REDACTED
    if isinstance(value, list):
        return [_keep_value(part, depth - 1) for part in value] if depth > 0 else REDACTED
    return _redact(value, depth)
