"""Templates and their filters: everything is escaped, an undefined name is an error, and money, times and states look
the same everywhere.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined

from messages.money import DECIMALS, Money
from outbox.ops.labels import label

_TONES = {
    "good": "settled reversed paid succeeded resolved done safe answered applied closed won warning_closed "
    "confirmed final",
    "busy": "charging processing authorized replaying classifying previewed running appended sending pending paused "
    "under_review warning_under_review appeal_under_review "
    "held released free statement booking event "
    "queued submitted mined voiding paying complete",
    "warn": "try_again requires_action awaiting_approval needs_new_key open unmatched try_later unknown "
    "waiting_for_balance unknown_tenant event_unmatched refund_stuck dispute_evidence_due authorization_expiring "
    "needs_response warning_needs_response appeal_needs_response "
    "account capability dispute refund currency unknown_end person balance_insufficient owed short "
    "escrow_near_limit share_stuck receivable_over_limit",
    "bad": "died failed must_not give_up gave_up tries_used_up killed_worker refused lost prevented "
    "missing_in_book missing_at_stripe amount_differs payout_unexplained refund_failed abandoned "
    "reverted expired",
}
_TONE_OF = {state: tone for tone, states in _TONES.items() for state in states.split()}


def tone(state: str | None) -> str:
    """The colour of a state: good, busy, warn, bad, or calm for what needs no attention."""
    return _TONE_OF.get(state or "", "calm")


def words(text: str | None) -> str:
    """A code as it is shown; an empty string for None. The labels are those of the command line."""
    return label(text)


def money(minor: int | None, currency: str | None) -> str:
    """An amount with its currency; empty when one of the two is None. An unknown currency is shown in minor units,
    because its number of decimals is not known.
    """
    if minor is None or currency is None:
        return ""
    return str(Money(minor, currency)) if currency in DECIMALS else f"{minor:,} {currency.upper()} (minor units)"


def moment(at: datetime) -> str:
    """A point in time, always in UTC: the operators of one incident work in several time zones."""
    return f"{at.astimezone(UTC):%d %b %Y, %H:%M:%S}"


def precisely(at: datetime) -> str:
    """With milliseconds, which show the order of events in a timeline."""
    return f"{at.astimezone(UTC):%d %b %Y, %H:%M:%S.%f}"[:-3]


def ago(at: datetime) -> str:
    """How long ago, by this machine's clock."""
    return f"{duration((datetime.now(UTC) - at).total_seconds())} ago"


def duration(seconds: float | None) -> str:
    """Two figures are enough for a person: 0.4 s, 12 s, 3 min, 5 h, 2 days."""
    if seconds is None:
        return "none"
    if seconds < 0.05:
        return "0 s"
    for below, per, unit in ((10, 1, "s"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < below:
            return f"{seconds / per:.1f} {unit}" if below == 10 else f"{seconds / per:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def seconds_left(until: datetime) -> float:
    """Until a deadline; negative when it has passed."""
    return (until - datetime.now(UTC)).total_seconds()


def pretty_json(text: str) -> str:
    """A payload as indented JSON; text that is not JSON is returned unchanged."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def short(identifier: UUID | str) -> str:
    """The end of an id: a UUIDv7 starts with its timestamp, which neighbouring rows share."""
    text = str(identifier)
    return f"…{text[-8:]}" if len(text) > 12 else text


def fingerprint(names: Sequence[str]) -> str:
    """A version of the static files that changes with their content, so that browsers may cache them."""
    digest = sha256()
    for name in names:
        digest.update((files("outbox.ops.console") / "static" / name).read_bytes())
    return digest.hexdigest()[:12]


def environment() -> Environment:
    """The template environment, made once per process; `version` is the fingerprint of the static files at that
    moment.
    """
    made = Environment(
        loader=PackageLoader("outbox.ops.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "tone": tone,
        "words": words,
        "moment": moment,
        "precisely": precisely,
        "ago": ago,
        "duration": duration,
        "seconds_left": seconds_left,
        "pretty_json": pretty_json,
        "short": short,
    }
    made.globals |= {"money": money, "version": fingerprint(("console.css", "console.js", "htmx.min.js"))}
    return made
