"""The operators' part of the `fleet` command: each domain registers its own commands.

A command's module holds only its words and imports its room when it is used, so that `fleet` starts fast. Exit codes:
outbox/ops/session.py.
"""

import typer

from outbox.ops.dead_letters import commands as dead_letter_commands
from outbox.ops.disputes import commands as dispute_commands
from outbox.ops.groups import commands as group_commands
from outbox.ops.minting import commands as mint_commands
from outbox.ops.operators import commands as operator_commands
from outbox.ops.pauses import commands as pause_commands
from outbox.ops.payments import commands as payment_commands
from outbox.ops.payouts import commands as payout_commands
from outbox.ops.queues import commands as queue_commands
from outbox.ops.reconciliation import commands as reconciliation_commands
from outbox.ops.refunds import commands as refund_commands
from outbox.ops.shares import commands as share_commands

# In the order in which `fleet --help` lists them.
DOMAINS = (
    dead_letter_commands,
    payment_commands,
    queue_commands,
    operator_commands,
    pause_commands,
    refund_commands,
    mint_commands,
    group_commands,
    reconciliation_commands,
    payout_commands,
    dispute_commands,
    share_commands,
)


def add_to(app: typer.Typer) -> None:
    """Hang the operators' commands into the `fleet` command."""
    for domain in DOMAINS:
        domain.add_to(app)
