"""The demo's tokens: its venues mint, and when the sale is over some of them are shown, read back from the chain.

Where there is no chain (`make chain` says why) the tickets wait, everybody can see it, and nothing fails.
"""

import time
from typing import Any

from rich.console import Console

from db.minting import mints
from db.minting import verify as mint_verify
from db.session import Database
from deploy.local.stack.stack import Stack
from workers.verify.report import NOT_OURS_TO_MOVE, Report

LONGEST_SECONDS = 90.0
SHOWN = 5
NO_CHAIN = (
    "no chain on this machine (npm would bring one: `make chain`): the tickets wait for it. "
    "`.venv/bin/fleet --local mint list` shows them."
)


def wait_until_minted(console: Console, db: Database, stack: Stack) -> None:
    """Until every ticket is at its end: a block comes each second, and three of them make sure."""
    if "CHAIN_RPC_URLS" not in stack.environment():
        return
    deadline = time.monotonic() + LONGEST_SECONDS
    console.print("minting ...")
    while time.monotonic() < deadline:
        with db.system_transaction() as tx:
            counts = mints.counts(tx)
            missing = mint_verify.tickets_without_mint(tx)
        if not missing and not any(counts.get(state) for state in ("queued", "submitted", "mined", "voiding")):
            return
        time.sleep(0.5)


def show_some(console: Console, db: Database, stack: Stack) -> None:
    environment = stack.environment()
    with db.system_transaction() as tx:
        booked = mint_verify.mints(tx)
    confirmed = [mint for mint in booked if mint.state == "confirmed"]
    if "CHAIN_RPC_URLS" not in environment:
        console.print(f"tokens    {len(booked)} tickets, {NO_CHAIN}")
        return
    console.print(
        f"tokens    {len(confirmed)} minted on chain {environment['CHAIN_ID']}, contract {stack.chain.contract}"
    )
    for mint in confirmed[:SHOWN]:
        console.print(f"          {mint.token_id} of {_owner(stack, mint.token_id)}")


def _owner(stack: Stack, token_id: str) -> str:
    """Asked of the chain itself: ownerOf(uint256)."""
    call: dict[str, Any] = {"to": stack.chain.contract, "data": "0x6352211e" + token_id[2:]}
    return "0x" + str(stack.chain.node.call("eth_call", call, "latest"))[-40:]


def only_tokens_wait(report: Report, stack: Stack) -> bool:
    """Without a chain, tickets that wait for one are as they should be."""
    waiting = {kind for kind, count in report.kinds.items() if count.waiting} - NOT_OURS_TO_MOVE
    return "CHAIN_RPC_URLS" not in stack.environment() and waiting <= {"tickets to mint"}
