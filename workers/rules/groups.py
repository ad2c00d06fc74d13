"""A member's state by its payment, and a group's next move by its members' states. Values in, values out."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from messages.declines import public_reason

# A hold that ends this soon is captured. A day leaves the patience of a capture (retries, an outage, a person) its
# room, and costs nothing where holds last a week.
CAPTURE_AHEAD = timedelta(hours=24)

ENDING = frozenset({"expired", "canceled"})


@dataclass(frozen=True, slots=True)
class ContributionStatus:
    """The payment of a share: its state and reason, and whether it is being cancelled or all of it went back."""

    state: str
    reason: str | None
    being_cancelled: bool
    given_back: bool


def member_state(group_state: str, present: str, payment: ContributionStatus | None) -> tuple[str, str | None]:
    """Where a member belongs, and why; `present` where nothing has changed.

    While the group may still come together, a share is secured only by a payment that holds or has taken it and that
    nobody is calling off. Once it ends, a share is voided or refunded only by what is final at Stripe.
    """
    if present in {"voided", "refunded"}:
        return present, None
    if group_state in ENDING:
        return _ending(present, payment), None
    if payment is None:
        return present, None
    if group_state == "settled":  # each share is a sale of its own by now
        return ("refunded" if payment.given_back else present), None
    return _coming_together(payment)


def _ending(present: str, payment: ContributionStatus | None) -> str:
    if payment is None or payment.state == "canceled":
        return "voided"
    if payment.state == "succeeded":
        return "refunded" if payment.given_back else "paid"
    return present


def _coming_together(payment: ContributionStatus) -> tuple[str, str | None]:
    if payment.given_back:
        return "failed", "given_back"
    if payment.state == "failed":
        return "failed", _public(payment.reason)
    if payment.state == "canceled":
        return "failed", "hold_ended" if payment.reason == "automatic" else "called_off"
    if payment.being_cancelled:
        return "failed", "called_off"
    return {"authorized": "held", "succeeded": "paid"}.get(payment.state, "paying"), None


def _public(reason: str | None) -> str:
    """Fit for the buyer's eyes: a decline as it may be said, everything else as it is."""
    kind, separator, code = (reason or "").partition(": ")
    return public_reason(code) if separator and kind == "declined" else (code or reason or "failed")


@dataclass(frozen=True, slots=True)
class GroupTransition:
    """Where the group goes, and why."""

    state: str
    reason: str | None = None


def group_move(
    state: str, members: Collection[str], *, is_over: bool, event_is_off: bool, all_over: bool
) -> GroupTransition | None:
    """The next move of a group; None when it is where it belongs.

    A group whose shares are all secured is complete, even when its deadline passed a moment ago and nobody had noticed:
    everybody did their part, and nothing is gained by undoing it. `all_over`: no payment that was ever begun for the
    group holds or keeps anything.
    """
    secured = all(member in {"held", "paid"} for member in members)
    done = all(member in {"voided", "refunded"} for member in members)
    move: GroupTransition | None = None
    match state:
        case "open" if event_is_off:
            move = GroupTransition("canceled", "event_cancelled")
        case "open" if secured:
            move = GroupTransition("complete")
        case "open" if is_over:
            move = GroupTransition("expired", "deadline")
        case "complete" if not secured:
            move = GroupTransition("canceled", "a share could not be captured")
        case "complete" if all(member == "paid" for member in members):
            move = GroupTransition("settled")
        case "expired" | "canceled" if all_over and done:
            move = GroupTransition("voided")
    return move


def capture_at(capture_before: datetime | None, deadline: datetime) -> datetime | None:
    """When a hold must be captured although the group is not complete; None when it lasts beyond the deadline.

    The alternative is to let it end and ask the member again. It paid once, in time, and would be the one who spoils
    the group; captured, its money is safe, and given back in full if the others do not come.
    """
    if capture_before is None or capture_before - CAPTURE_AHEAD > deadline:
        return None
    return capture_before - CAPTURE_AHEAD
