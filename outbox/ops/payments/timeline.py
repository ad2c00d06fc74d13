"""A payment's timeline as text: one sentence for each entry of db/operators/timeline.py."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.text import Text

from db.operators import timeline
from db.operators.timeline import PaymentHeading, TimelineEntry
from outbox.ops import output
from outbox.ops.dead_letters import explanations
from outbox.ops.output import facts, out, plain, print_json, record, table
from outbox.ops.payments.timeline_shares import SENTENCES_OF_SHARES
from outbox.ops.session import REFUSED, LeaveError, operator_session, troubles

_PART_STYLES = {
    **{"intake": "cyan", "state": "bold", "call": "blue", "attempt": "blue", "charge": "green", "ledger": "green"},
    **{"refund": "bold", "group": "bold", "token": "bold", "wish": "yellow", "event": "cyan"},
    **{"dispute": "red", "warning": "red"},
    **{"webhook": "magenta", "failure": "red", "outbox": "yellow", "dead letter": "red", "replay": "yellow"},
}

# Where the shown name differs from the code.
_PART_LABELS = {"wish": "request", "call": "Stripe call", "failure": "failed run", "event": "published"}


@troubles()
def show_payment(name: str, *, as_json: bool) -> None:
    """Print one payment's timeline, by any of its ids.

    Raises:
        LeaveError: no payment, or several tenants' payments, have this id (exit code 1).
    """
    with operator_session() as operator, operator.db.ops_transaction() as tx:
        payments = timeline.find(tx, name)
        if len(payments) != 1:
            raise LeaveError(REFUSED, _not_one(name, payments))
        story = timeline.happenings(tx, payments[0])
    if as_json:
        print_json(record(payments[0]) | {"timeline": [record(line) | {"says": sentence(line)} for line in story]})
    else:
        _print_story(payments[0], story)


def _not_one(name: str, payments: list[PaymentHeading]) -> str:
    if not payments:
        return f"No payment has the payment, order, payment intent or charge id {name}."
    several = "".join(f"\n  {payment.payment_id}  {payment.tenant}" for payment in payments)
    return f"{len(payments)} tenants use the order id {name}; give the payment id instead:{several}"


def _print_story(payment: PaymentHeading, story: list[TimelineEntry]) -> None:
    console = out()
    title = Text("Payment ", style="bold").append(str(payment.payment_id)).append("  ")
    console.print(title.append(output.state(payment.state)).append("  ").append(_money(payment.amount_minor, payment)))
    console.print()
    console.print(facts(_heading(payment)))
    console.print()
    shown = table("when (UTC)", "part", "event", "by")
    shown.columns[0].no_wrap = shown.columns[1].no_wrap = True
    day = None
    for line in story:
        if day != (day := line.at.date()):
            shown.add_row(Text(f"{day}", style="dim"))
        shown.add_row(
            _time(line.at),
            Text(part_label(line.part), _PART_STYLES.get(line.part, "")),
            _text(line),
            plain(line.by or ""),
        )
    console.print(shown)


def part_label(part: str) -> str:
    """The name of a part as shown; JSON keeps the code."""
    return _PART_LABELS.get(part, part)


def _heading(payment: PaymentHeading) -> dict[str, object]:
    fee = payment.platform_fee_minor
    kept = output.money(payment.stripe_fee_minor, payment.balance_currency)
    return {
        "order": payment.order_id,
        "venue": f"{payment.venue}, {payment.tenant}",
        "platform fee": _money(fee, payment) if fee is not None else None,
        "stripe fee": kept if payment.stripe_fee_minor is not None else None,
        "refunded": _money(payment.refunded_minor, payment) if payment.refunded_minor else None,
        "cancellation": _to_cancel(payment),
        "capture requested": _money(requested, payment) if (requested := payment.capture_requested_minor) else None,
        "authorization expires": payment.capture_before and f"{payment.capture_before:%Y-%m-%d %H:%M:%S} UTC",
        "capture": payment.capture,
        "payment intent": payment.payment_intent_id,
        "charge": payment.charge_id,
        "state since": f"{payment.state_since:%Y-%m-%d %H:%M:%S} UTC"
        + (f", {payment.state_reason}" if payment.state_reason else ""),
    }


def _to_cancel(payment: PaymentHeading) -> str | None:
    if payment.cancel_reason is None or payment.state == "canceled":
        return None
    return f"{payment.cancel_reason.replace('_', ' ')}, requested by {payment.cancel_requested_by}"


def _money(minor: int | None, payment: PaymentHeading) -> str:
    return output.money(minor, payment.currency)


def _time(at: datetime) -> str:
    """To the millisecond, because many entries fall within one second."""
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"


def _text(line: TimelineEntry) -> Text:
    head, *rest = sentence(line).split("\n")
    said = plain(head)
    for detail in rest:
        said.append("\n").append(plain(detail, "dim"))
    return said


def sentence(line: TimelineEntry) -> str:
    """The entry as text; the first line is the summary, further lines are details."""
    return _SENTENCES[line.part](line.what, line.detail)


def _intake(_: str, details: dict[str, Any]) -> str:
    return f"order received, {details['tickets']} tickets\nevent {details['event_id']}"


def _state(to: str, details: dict[str, Any]) -> str:
    move = f"{details['from_state']} -> {to}" if details["from_state"] else to
    return move + (f"\n{details['reason']}" if details["reason"] else "")


def _wish(what: str, details: dict[str, Any]) -> str:
    return f"{what} requested: {details['reason'].replace('_', ' ')}"


def _refund(to: str, of: dict[str, Any]) -> str:
    much = output.money(of["amount_minor"], of["currency"])
    why = of["why"].replace("_", " ")
    move = f"refund of {much} {of['from_state']} -> {to}" if of["from_state"] else f"refund of {much} {to}: {why}"
    details = filter(None, [of["reason"], None if of["from_state"] else of["note"], f"refund {of['refund_id']}"])
    return "\n".join([move, *details])


def _token(to: str, of: dict[str, Any]) -> str:
    move = f"token {of['from_state']} -> {to}" if of["from_state"] else f"token {to}"
    details = filter(None, [of["reason"], f"ticket {of['ticket_id']}", f"token {of['token_id']}"])
    return "\n".join([move, *details])


def _group(to: str, details: dict[str, Any]) -> str:
    who = f"contribution of {details['member']}" if details["member"] else "group"
    move = f"{details['from_state']} -> {to}" if details["from_state"] else to
    return f"{who} {move}" + (f": {details['reason']}" if details["reason"] else "") + f"\ngroup {details['group_id']}"


def _event(what: str, details: dict[str, Any]) -> str:
    return f"{what} {'waiting to be published' if details['waits'] else 'published'}"


def _call(what: str, details: dict[str, Any]) -> str:
    name = details["operation"]
    match what:
        case "sent":
            key = f"idempotency key {details['idempotency_key']}"
            return f"{name} sent, key generation {details['generation']}\n{key}{_open_end(details)}"
        case "sent_again":
            return f"{name} sent again with the same idempotency key, {details['sends']} times in total"
        case "absent":
            return f"{name} verified as absent at Stripe\n{details['answer']}"
        case _:
            request = f"\nrequest {details['request_id']}" if details["request_id"] else ""
            return f"{name} answered: {details['answer']} {details['object_id'] or ''}".rstrip() + request


def _open_end(details: dict[str, Any]) -> str:
    if details["outcome"] != "unknown":
        return ""
    return "\nthe outcome is unknown" + (", it must be looked up at Stripe first" if details["needs_lookup"] else "")


def _attempt(outcome: str, details: dict[str, Any]) -> str:
    declined = f" ({details['decline_code']})" if details["decline_code"] else ""
    return f"attempt {details['attempt']}: {outcome}{declined}\nwith {details['payment_method_id']}"


def _charge(_: str, details: dict[str, Any]) -> str:
    kept = ""
    if details["balance_transaction_id"]:
        fee = output.money(details["stripe_fee_minor"], details["balance_currency"])
        kept = f"\nStripe fee {fee}, {details['balance_transaction_id']}"
    return f"charge {details['charge_id']} of {output.money(details['amount_minor'], details['currency'])}{kept}"


def _ledger(kind: str, details: dict[str, Any]) -> str:
    legs = "".join(
        f"\n{'Dr' if leg['amount_minor'] > 0 else 'Cr'} {leg['account']:<17} "
        f"{output.money(abs(leg['amount_minor']), leg['currency']):>16}"
        for leg in details["entries"] or []
    )
    return f"journal {kind.replace('_', ' ')} of {details['source_id']}{legs}"


def _webhook(what: str, details: dict[str, Any]) -> str:
    if what == "received":
        return f"{details['event_type']} received\n{details['event_id']} about {details['object_id']}"
    return f"{details['event_type']} {what}" + (f": {details['note']}" if details["note"] else "")


def _dispute(status: str, details: dict[str, Any]) -> str:
    name = status.replace("_", " ")
    move = f"{details['from_status'].replace('_', ' ')} -> {name}" if details["from_status"] else name
    about = f"{output.money(details['amount_minor'], details['currency'])}, {details['reason'].replace('_', ' ')}"
    return f"dispute {move}\n{details['dispute_id']} over {about}"


def _warning(decision: str, details: dict[str, Any]) -> str:
    refund = f", refund {details['refund_id']}" if details["refund_id"] else ""
    kind = details["fraud_type"].replace("_", " ")
    return f"early fraud warning ({kind}): {decision}{refund}\n{details['reason']}"


def _failure(verdict: str, details: dict[str, Any]) -> str:
    due = details["next_due_at"]
    then = f"retry at {datetime.fromisoformat(due):%Y-%m-%d %H:%M:%S}" if due else "gave up"
    head = f"run {details['run']}, attempt {details['attempt']} failed: {then}"
    return f"{head}\n{details['error_class']}: {details['reason']}"


def _outbox(_: str, details: dict[str, Any]) -> str:
    refused = f", returned by the broker {details['refusals']} times" if details["refusals"] else ""
    due = datetime.fromisoformat(details["due_at"])
    waits = f"in the outbox for {details['to']}{refused}"
    return f"{waits}\ndue {due:%Y-%m-%d %H:%M:%S}, message {details['message_id']}"


def _dead_letter(what: str, details: dict[str, Any]) -> str:
    verb = f"dead-lettered ({explanations.cause(details['cause'])})" if what == "died" else what
    name = f"{details['kind'] or 'message'} {verb}"
    follows = f"\nreplaces {details['successor_of']}" if details["successor_of"] and what == "died" else ""
    return f"{name}: {details['reason']}\ndead letter {details['dead_letter_id']}{follows}"


def _replay(state: str, details: dict[str, Any]) -> str:
    checked = (
        f"classified as {details['class'].replace('_', ' ')}: {details['proof']}"
        if details["class"]
        else "not classified yet"
    )
    return f"replay {state}, {checked}\nbatch {details['batch_id']} ({details['batch_state']})"


def _operator(action: str, details: dict[str, Any]) -> str:
    return f"{action}: {details['reason']}\nentry {details['seq']} of the operator log"


_SENTENCES: dict[str, Callable[[str, dict[str, Any]], str]] = {
    **SENTENCES_OF_SHARES,
    "intake": _intake,
    "state": _state,
    "wish": _wish,
    "refund": _refund,
    "token": _token,
    "group": _group,
    "event": _event,
    "call": _call,
    "attempt": _attempt,
    "charge": _charge,
    "ledger": _ledger,
    "webhook": _webhook,
    "dispute": _dispute,
    "warning": _warning,
    "failure": _failure,
    "outbox": _outbox,
    "dead letter": _dead_letter,
    "replay": _replay,
    "operator": _operator,
}
