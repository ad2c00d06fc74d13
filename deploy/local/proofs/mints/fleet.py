"""The whole fleet with as many minters as wanted, all of them behind one node that misbehaves."""

from __future__ import annotations

from random import Random

from deploy.local.proofs.mints.faulty_node import (
    Fault,
    FaultyNode,
    bad_gateway,
    error_although_done,
    forget,
    hang_up,
    lose_answer,
    too_many_requests,
)
from deploy.local.scenario.fleet import COUNTS, Fleet
from deploy.local.stack.chain import Chain
from deploy.local.stack.stack import Stack

_OF_SENDING: tuple[tuple[float, Fault], ...] = (
    (0.08, lose_answer),
    (0.04, error_although_done),
    (0.04, forget),
    (0.02, hang_up),
)
_OF_ANY: tuple[tuple[float, Fault], ...] = ((0.02, too_many_requests), (0.01, bad_gateway))
# Each of these in the hands of one death.
POINTS = (
    "minter.before_commit",
    "minter.after_commit",
    "minter.after_send",
    "minter.before_inclusion",
    "minter.before_final",
)


class MintFleet(Fleet):
    def __init__(self, stack: Stack, node: FaultyNode, minters: int) -> None:
        super().__init__(stack, COUNTS | {"minter": minters})
        self.node = node
        self.minters = [f"minter.{number + 1}" for number in range(minters)] if minters > 1 else ["minter"]

    def environment(self, name: str) -> dict[str, str]:
        if not name.startswith("minter"):
            return super().environment(name)
        return super().environment(name) | {
            "CHAIN_RPC_URLS": self.node.url,
            "CHAIN_BATCH": "25",
            "CHAIN_POLL_SECONDS": "0.3",
            "CHAIN_LEASE_SECONDS": "2",
            "CHAIN_STUCK_SECONDS": "4",
        }


def stack_with_driven_chain(stack: Stack) -> Stack:
    """Blocks come only when the proof asks for one: anvil's own miner and its reorganisations do not go together."""
    stack.chain = Chain(stack.directory, stack.memory, mining=False)
    return stack


def misbehave(node: FaultyNode, chance: Random) -> None:
    """From now on some answers are lost, late, wrong or refused."""

    def pick(method: str) -> Fault | None:
        for part, fault in (*(_OF_SENDING if method == "eth_sendRawTransaction" else ()), *_OF_ANY):
            if chance.random() < part:
                return fault
        return None

    node.chance = pick
