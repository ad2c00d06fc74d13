"""What Stripe and the banks do later by themselves: what each row of `tasks` does when it falls due.

A task gets (account, id of the object, details) and asks for the state that it leaves, so one that comes too late
does nothing.
"""

from .api.application import roll_forward
from .resources.balance import ledger
from .resources.charges import lifecycle as charges
from .resources.disputes import lifecycle as disputes
from .resources.early_fraud_warnings import lifecycle as early_fraud_warnings
from .resources.payment_intents import attempts
from .resources.payment_intents import lifecycle as payment_intents
from .resources.payouts import lifecycle as payouts
from .resources.refunds import lifecycle as refunds
from .resources.topups import lifecycle as topups
from .state.recorder import Origin
from .state.schedule import Task
from .world import World


def tasks_of(world: World) -> dict[str, Task]:
    """By the `kind` that was scheduled."""
    return {
        "book_charge": lambda account, subject, details: charges.book_asynchronous(world, account, subject),
        "settle_debit": lambda account, subject, details: attempts.settle(world, account, subject),
        "expire_authorization": lambda account, subject, details: payment_intents.expire(world, account, subject),
        "settle_refund": lambda account, subject, details: refunds.arrive(world, account, subject),
        "fail_refund": lambda account, subject, details: refunds.fail(world, account, subject),
        "raise_dispute": lambda account, subject, details: disputes.raise_by_clock(world, account, subject, details),
        "dispute_due": lambda account, subject, details: disputes.end_without_answer(world, account, subject, details),
        "decide_dispute": lambda account, subject, details: disputes.decide_by_evidence(world, account, subject),
        "warn_of_fraud": lambda account, subject, details: early_fraud_warnings.issue_by_clock(world, account, subject),
        "send_payout": lambda account, subject, details: payouts.hand_to_bank(world, account, subject),
        "payout_arrives": lambda account, subject, details: payouts.arrive(world, account, subject),
        "topup_arrives": lambda account, subject, details: topups.arrive(world, account, subject),
        "reconcile_payout": lambda account, subject, details: payouts.reconcile(world, account, subject),
        "funds_available": lambda account, subject, details: _make_funds_available(world, account),
        "roll_forward": lambda account, subject, details: roll_forward(world, account, details),
    }


def _make_funds_available(world: World, account: str) -> None:
    """Stripe says that money has become available, and sends the refunds that waited for it."""
    world.outbox.emit(account, "balance.available", ledger.current(world, account), Origin())
    refunds.fund_waiting(world, account)
