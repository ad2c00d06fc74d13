"""A payment's timeline in words: what each line of db/operators/timeline.py says to somebody who was not there."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.text import Text

from db.operators import timeline
from db.operators.timeline import PaymentHeading, TimelineEntry
from outbox.ops.dead_letters import explanations, tables
from outbox.ops.output import facts, out, plain, print_json, record, table
from outbox.ops.payments.timeline_shares import SENTENCES_OF_SHARES
from outbox.ops.session import REFUSED, LeaveError, desk, troubles

_PART_STYLES = {
    **{"intake": "cyan", "state": "bold", "call": "blue", "attempt": "blue", "charge": "green", "ledger": "green"},
    **{"refund": "bold", "group": "bold", "token": "bold", "wish": "yellow", "event": "cyan"},
    **{"dispute": "red", "warning": "red"},
    **{"webhook": "magenta", "failure": "red", "outbox": "yellow", "dead letter": "red", "replay": "yellow"},
}


@troubles()
def show_payment(name: str, *, as_json: bool) -> None:
    with desk() as at, at.db.ops_transaction() as tx:
        found = timeline.find(tx, name)
        if len(found) != 1:
            raise LeaveError(REFUSED, _not_one(name, found))
        story = timeline.happenings(tx, found[0])
    if as_json:
        print_json(record(found[0]) | {"timeline": [record(line) | {"says": sentence(line)} for line in story]})
    else:
        _print_story(found[0], story)


def _not_one(name: str, found: list[PaymentHeading]) -> str:
    if not found:
        return f"No payment has the payment, order, payment intent or charge id {name}."
    several = "".join(f"\n  {payment.payment_id}  {payment.tenant}" for payment in found)
    return f"{len(found)} tenants know the order {name}; name the payment:{several}"


def _print_story(payment: PaymentHeading, story: list[TimelineEntry]) -> None:
    console = out()
    title = Text("Payment ", style="bold").append(str(payment.payment_id)).append("  ")
    console.print(title.append(tables.state(payment.state)).append("  ").append(_money(payment.amount_minor, payment)))
    console.print()
    console.print(facts(_heading(payment)))
    console.print()
    shown = table("when (UTC)", "part", "what happened", "by")
    shown.columns[0].no_wrap = shown.columns[1].no_wrap = True
    day = None
    for line in story:
        if day != (day := line.at.date()):
            shown.add_row(Text(f"{day}", style="dim"))
        shown.add_row(
            _time(line.at), Text(line.part, _PART_STYLES.get(line.part, "")), _told(line), plain(line.by or "")
        )
    console.print(shown)


def _heading(payment: PaymentHeading) -> dict[str, object]:
    fee = payment.platform_fee_minor
    kept = tables.money(payment.stripe_fee_minor, payment.balance_currency)
    return {
        "order": payment.order_id,
        "venue": f"{payment.venue}, {payment.tenant}",
        "platform fee": _money(fee, payment) if fee is not None else None,
        "stripe fee": kept if payment.stripe_fee_minor is not None else None,
        "given back": _money(payment.refunded_minor, payment) if payment.refunded_minor else None,
        "to be cancelled": _to_cancel(payment),
        "to be captured": _money(wanted, payment) if (wanted := payment.capture_requested_minor) else None,
        "hold ends": payment.capture_before and f"{payment.capture_before:%Y-%m-%d %H:%M:%S} UTC",
        "capture": payment.capture,
        "intent": payment.payment_intent_id,
        "charge": payment.charge_id,
        "state since": f"{payment.state_since:%Y-%m-%d %H:%M:%S} UTC"
        + (f", {payment.state_reason}" if payment.state_reason else ""),
    }


def _to_cancel(payment: PaymentHeading) -> str | None:
    if payment.cancel_reason is None or payment.state == "canceled":
        return None
    return f"{payment.cancel_reason.replace('_', ' ')}, asked by {payment.cancel_requested_by}"


def _money(minor: int | None, payment: PaymentHeading) -> str:
    return tables.money(minor, payment.currency)


def _time(at: datetime) -> str:
    """To the millisecond, because much happens within one second."""
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"


def _told(line: TimelineEntry) -> Text:
    head, *rest = sentence(line).split("\n")
    said = plain(head)
    for detail in rest:
        said.append("\n").append(plain(detail, "dim"))
    return said


def sentence(line: TimelineEntry) -> str:
    """The line in words; what follows the first line is detail."""
    return _SENTENCES[line.part](line.what, line.detail)


def _intake(_: str, of: dict[str, Any]) -> str:
    return f"order received, {of['tickets']} tickets\nevent {of['event_id']}"


def _state(to: str, of: dict[str, Any]) -> str:
    move = f"{of['from_state']} -> {to}" if of["from_state"] else to
    return move + (f"\n{of['reason']}" if of["reason"] else "")


def _wish(what: str, of: dict[str, Any]) -> str:
    return f"asked to {what}: {of['reason'].replace('_', ' ')}"


def _refund(to: str, of: dict[str, Any]) -> str:
    much = tables.money(of["amount_minor"], of["currency"])
    why = of["why"].replace("_", " ")
    move = f"refund of {much} {of['from_state']} -> {to}" if of["from_state"] else f"refund of {much} {to}: {why}"
    details = filter(None, [of["reason"], None if of["from_state"] else of["note"], f"refund {of['refund_id']}"])
    return "\n".join([move, *details])


def _token(to: str, of: dict[str, Any]) -> str:
    move = f"token {of['from_state']} -> {to}" if of["from_state"] else f"token {to}"
    details = filter(None, [of["reason"], f"ticket {of['ticket_id']}", f"token {of['token_id']}"])
    return "\n".join([move, *details])


def _group(to: str, of: dict[str, Any]) -> str:
    who = f"share of {of['member']}" if of["member"] else "group"
    move = f"{of['from_state']} -> {to}" if of["from_state"] else to
    return f"{who} {move}" + (f": {of['reason']}" if of["reason"] else "") + f"\ngroup {of['group_id']}"


def _event(what: str, of: dict[str, Any]) -> str:
    return f"{what} {'waits to be told' if of['waits'] else 'told'}"


def _call(what: str, of: dict[str, Any]) -> str:
    name = of["operation"]
    match what:
        case "sent":
            return f"{name} sent, generation {of['generation']}\nkey {of['idempotency_key']}{_open_end(of)}"
        case "sent_again":
            return f"{name} sent again with the same key, {of['sends']} times in all"
        case "absent":
            return f"{name} proved absent at Stripe\n{of['answer']}"
        case _:
            request = f"\nrequest {of['request_id']}" if of["request_id"] else ""
            return f"{name} answered: {of['answer']} {of['object_id'] or ''}".rstrip() + request


def _open_end(of: dict[str, Any]) -> str:
    if of["outcome"] != "unknown":
        return ""
    return "\nthe answer is not known yet" + (", Stripe must be asked first" if of["needs_lookup"] else "")


def _attempt(outcome: str, of: dict[str, Any]) -> str:
    declined = f" ({of['decline_code']})" if of["decline_code"] else ""
    return f"attempt {of['attempt']}: {outcome}{declined}\nwith {of['payment_method_id']}"


def _charge(_: str, of: dict[str, Any]) -> str:
    kept = ""
    if of["balance_transaction_id"]:
        fee = tables.money(of["stripe_fee_minor"], of["balance_currency"])
        kept = f"\nStripe kept {fee}, {of['balance_transaction_id']}"
    return f"charge {of['charge_id']} of {tables.money(of['amount_minor'], of['currency'])}{kept}"


def _ledger(kind: str, of: dict[str, Any]) -> str:
    legs = "".join(
        f"\n{'Dr' if leg['amount_minor'] > 0 else 'Cr'} {leg['account']:<17} "
        f"{tables.money(abs(leg['amount_minor']), leg['currency']):>16}"
        for leg in of["entries"] or []
    )
    return f"journal {kind.replace('_', ' ')} of {of['source_id']}{legs}"


def _webhook(what: str, of: dict[str, Any]) -> str:
    if what == "received":
        return f"{of['event_type']} received\n{of['event_id']} about {of['object_id']}"
    return f"{of['event_type']} {what}" + (f": {of['note']}" if of["note"] else "")


def _dispute(status: str, of: dict[str, Any]) -> str:
    name = status.replace("_", " ")
    move = f"{of['from_status'].replace('_', ' ')} -> {name}" if of["from_status"] else name
    about = f"{tables.money(of['amount_minor'], of['currency'])}, {of['reason'].replace('_', ' ')}"
    return f"dispute {move}\n{of['dispute_id']} over {about}"


def _warning(decision: str, of: dict[str, Any]) -> str:
    refund = f", refund {of['refund_id']}" if of["refund_id"] else ""
    kind = of["fraud_type"].replace("_", " ")
    return f"the card's bank warns of fraud ({kind}): {decision}{refund}\n{of['reason']}"


def _failure(verdict: str, of: dict[str, Any]) -> str:
    due = of["next_due_at"]
    then = f"will run again at {datetime.fromisoformat(due):%Y-%m-%d %H:%M:%S}" if due else "given up"
    return f"run {of['run']}, try {of['attempt']} failed: {then}\n{of['error_class']}: {of['reason']}"


def _outbox(_: str, of: dict[str, Any]) -> str:
    refused = f", returned by the broker {of['refusals']} times" if of["refusals"] else ""
    due = datetime.fromisoformat(of["due_at"])
    return f"waits in the outbox for {of['to']}{refused}\ndue {due:%Y-%m-%d %H:%M:%S}, message {of['message_id']}"


def _dead_letter(what: str, of: dict[str, Any]) -> str:
    verb = f"died ({explanations.cause(of['cause'])})" if what == "died" else what
    name = f"{of['kind'] or 'message'} {verb}"
    follows = f"\nfollows {of['successor_of']}" if of["successor_of"] and what == "died" else ""
    return f"{name}: {of['reason']}\nletter {of['dead_letter_id']}{follows}"


def _replay(state: str, of: dict[str, Any]) -> str:
    judged = f"judged {of['class'].replace('_', ' ')}: {of['proof']}" if of["class"] else "not judged yet"
    return f"replay {state}, {judged}\nbatch {of['batch_id']} ({of['batch_state']})"


def _operator(action: str, of: dict[str, Any]) -> str:
    return f"{action}: {of['reason']}\nentry {of['seq']} of the operator log"


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
