"""Every case of chaos, sorted by number: importing their modules registers them (cases.py)."""

from deploy.local.proofs.chaos import (
    at_money_back,
    at_processes,
    at_replay,
    at_replay_of_money,
    at_servers,
    at_shares,
    at_storm,
    at_stripe,
    at_wires,
)
from deploy.local.proofs.chaos.cases import CASES, Case

MODULES = (
    at_money_back,
    at_processes,
    at_replay,
    at_replay_of_money,
    at_servers,
    at_shares,
    at_storm,
    at_stripe,
    at_wires,
)


def all_cases() -> list[Case]:
    """Sorted by number."""
    assert CASES and MODULES, "importing the modules registers their cases"
    return sorted(CASES.values(), key=lambda each: (each.number, each.key))
