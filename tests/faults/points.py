"""The named points at which a process can be killed, read from the code, in families by what passes them."""

from collections.abc import Collection
from pathlib import Path

from deploy.local.stack.stack import CLONE
from messages.runtime.crash_points import points_in

_CODE = [path for room in ("outbox", "workers") for path in sorted(Path(CLONE, room).rglob("*.py"))]
CRASH_POINTS = {point for path in _CODE for point in points_in(path.read_text())}

ON_SALE = {"charge", "intake", "relay", "webhook", "worker"}
AFTER_DEATH = {"dead_letters", "replay"}
REFUND, CAPTURE, CANCELLED_EVENT = {"refund"}, {"capture"}, {"cancel_event"}
PAYING, CLAWBACK = {"share", "transfer"}, {"transfer_reversal"}
ESCROW, STATEMENTS = {"escrow", "operator_request"}, {"statements"}
GROUPS = {"group", "cancel_group"}
DISPUTES = {"dispute", "dispute_answer", "early_warning"}
SHARES_COMPARED, PAID_ON = {"royalty_reconcile"}, {"connected_payouts"}
CLOSING = {"event_sweep", "payouts"}
# Killed where they are tested: tests/outbox/intake/api/test_idempotency.py,
# tests/workers/reconciliation/test_reconcile_long.py; `cancel` in the chaos cases 1b and 1d, `mint` in
# tests/workers/minting/test_journey.py.
ELSEWHERE = {"api", "cancel", "reconcile", "mint"}
# Killed in tests/workers/minting/test_minter_process.py.
MINTER = {"minter"}


def points_of(families: Collection[str]) -> list[str]:
    return sorted(point for point in CRASH_POINTS if point.partition(".")[0] in families)
