"""What operators decide about escrow: release or hold. Money moves only after a confirmation or --yes."""

from uuid import UUID

from outbox.ops.approvals import print_answer
from outbox.ops.prompts import CommandOptions, confirm, why
from outbox.ops.session import operator_session, troubles
from outbox.requests.operators import shares


@troubles()
def ask(kind: str, payment_id: UUID, options: CommandOptions) -> None:
    """`kind` is release or hold."""
    reason = why(options)
    with operator_session(options.operator) as operator:
        question = "Release the shares of this payment?" if kind == "release" else "Hold the shares of this payment?"
        confirm(question, "Nothing was changed.", options)
        with operator.transaction() as acting:
            request = (shares.release if kind == "release" else shares.hold)(acting, payment_id, note=reason)
        print_answer(operator, request, options)
