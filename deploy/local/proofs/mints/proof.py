"""`fleet prove mints`: thousands of paid tickets, each exactly one token, whatever dies, lies or is taken back.

The whole fleet as real processes, eight minters among them, against Stripe's emulator and a real EVM. Every order is
published twice or more, and every request to mint again and again. Meanwhile minters and workers are killed, at random
and at their named points, the node in front of the chain loses answers and forgets transactions, the chain is
reorganised twice (once deeper than the fleet waits), and once it stands still until a stuck transaction was replaced.
What is killed when comes from the seed; what the machine makes of it does not.

One thread drives the chain and asks for its reorganisations. Exit code 0 only when every promise holds.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import orjson
import psycopg
from rich.console import Console
from rich.table import Table

from deploy.local.proofs.mints import sale
from deploy.local.proofs.mints.faulty_node import FaultyNode
from deploy.local.proofs.mints.fleet import POINTS, MintFleet, misbehave, stack_with_driven_chain
from deploy.local.proofs.mints.truth import Truth, look
from deploy.local.scenario.kit import open_database
from deploy.local.scenario.minting import let_venues_mint
from deploy.local.scenario.order_service import OrderService
from deploy.local.scenario.report import console_for, silence_logs
from deploy.local.stack.chain import anvil_binary
from deploy.local.stack.stack import CLONE, Stack
from messages.mints import MintRequested
from outbox.append import append

DIRECTORY = CLONE / ".local" / "mints-proof"
EX_CANNOT_START = 2
BLOCK_SECONDS = 0.4
STUCK_LONGEST_SECONDS = 40.0
DEEPEST = 60  # the minter looks 64 blocks back
NO_CHAIN = "There is no chain on this machine: `make chain` installs it where npm is there."


@dataclass(frozen=True, slots=True)
class Plan:
    tickets: int = 2_000
    minters: int = 8
    seed: int = 1
    kill_every_seconds: float = 0.8
    minutes: float = 15.0


@dataclass(slots=True)
class Interference:
    """What was done to the fleet, counted."""

    kills: int = 0
    armed: int = 0
    reorganisations: list[int] = field(default_factory=list)
    stood_still_seconds: float = 0.0
    requests_again: int = 0
    blocks: int = 0
    seconds: float = 0.0


def prove(plan: Plan, *, as_json: bool) -> int:
    console = console_for(as_json=as_json)
    if anvil_binary() is None:
        console.print(NO_CHAIN)
        return EX_CANNOT_START
    silence_logs()
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    console.print(f"Starting servers and fleet; data and logs lie in {DIRECTORY} ...")
    stack = stack_with_driven_chain(Stack(DIRECTORY, outside={}))
    with FaultyNode(stack.chain.url) as node, MintFleet(stack, node, plan.minters) as fleet:
        done, truth = Run(plan, fleet, console).run()
    _show(console, done, truth)
    if as_json:
        document = {
            "interference": {name: getattr(done, name) for name in Interference.__slots__},
            "truth": truth.as_dict(),
        }
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
    return 1 if truth.problems else 0


class Run:
    """One run. All that asks the chain for blocks happens in the thread that calls `run`."""

    def __init__(self, plan: Plan, fleet: MintFleet, console: Console) -> None:
        self.plan, self.fleet, self.console = plan, fleet, console
        self.chain = fleet.stack.chain
        self.chance = Random(plan.seed)  # noqa: S311  seeded, not a secret
        self.done = Interference()
        self._owner = psycopg.connect(fleet.stack.postgres.migration_url, autocommit=True)
        self._next_block = self._next_kill = 0.0
        self._printed_at = 0.0

    def run(self) -> tuple[Interference, Truth]:
        let_venues_mint(self._owner)
        published, wanteds = sale.orders(self.plan.tickets, self.plan.seed)
        misbehave(self.fleet.node, self.chance)
        started = time.monotonic()
        stack = self.fleet.stack
        with OrderService(stack.rabbitmq.url, stack.order_log, None, self.plan.seed) as service:
            seller = threading.Thread(target=deque, args=[service.publish(published, rate=60), 0], daemon=True)
            seller.start()
            self._until_minted(started + self.plan.minutes * 60)
            seller.join(timeout=60)
            self._drain(service, started + self.plan.minutes * 60)
        self.done.seconds = time.monotonic() - started
        truth = look(self.chain, self._owner, wanteds, stack.order_log)
        if len(self.done.reorganisations) != 2 or not truth.replaced:
            truth.problems.append("the run was not complete: two reorganisations and a replacement")
        self._owner.close()
        return self.done, truth

    def _until_minted(self, deadline: float) -> None:
        """What is done to the fleet, each at its part of the tickets."""
        acts: list[tuple[float, Callable[[], bool]]] = [
            (0.0, self._stand_still),
            (0.0, partial(self._reorganise, 2)),
            (0.30, self._ask_again),
            (0.60, partial(self._reorganise, 5)),
            (0.75, self._ask_again),
        ]
        while ((done := self._confirmed()) < self.plan.tickets or acts) and time.monotonic() < deadline:
            self._tick()
            if acts and done >= acts[0][0] * self.plan.tickets and acts[0][1]():
                acts.pop(0)
            if done < 0.95 * self.plan.tickets:
                self._kill_somebody()
            time.sleep(0.05)
            self._print(done)

    def _drain(self, service: OrderService, deadline: float) -> None:
        """Nothing dies any more; what was reorganised last is confirmed again, and everything is published."""
        self.fleet.node.heal()
        self.fleet.heal()
        quiet_since = time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - quiet_since < 5:
            self._tick()
            if self._confirmed() < self.plan.tickets or self._is_busy():
                quiet_since = time.monotonic()
            time.sleep(0.1)

    # --------------------------------------------------------------------------------------------- what is done

    def _tick(self) -> None:
        if time.monotonic() >= self._next_block:
            self._next_block = time.monotonic() + BLOCK_SECONDS
            self.chain.node.call("evm_mine")
            self.done.blocks += 1

    def _kill_somebody(self) -> None:
        if time.monotonic() < self._next_kill:
            return
        self._next_kill = time.monotonic() + self.plan.kill_every_seconds * self.chance.uniform(0.5, 1.5)
        throw = self.chance.random()
        if throw < 0.2:
            point = self.chance.choice(POINTS)
            self.fleet.arm(point)
            self.done.armed += 1
        elif throw < 0.3:
            self.fleet.kill_child("workers", self.chance.randrange(100))
            self.done.kills += 1
        else:
            self.fleet.kill(self._leader() if throw < 0.8 else self.chance.choice(self.fleet.minters))
            self.done.kills += 1

    def _leader(self) -> str:
        """The minter that has the lease: to kill another one would be no trial."""
        row = self._owner.execute("SELECT split_part(lease_holder, ':', 2) FROM signers").fetchone()
        pid = int(row[0]) if row and row[0] else 0
        holders = [name for name in self.fleet.minters if pid in {member.pid for member in self.fleet.members(name)}]
        return holders[0] if holders else self.chance.choice(self.fleet.minters)

    def _reorganise(self, at_least: int) -> bool:
        """The last block that minted and all since are replaced by empty ones; anvil forgets their transactions."""
        head = int(self.chain.node.call("eth_blockNumber"), 16)
        last = self._one("SELECT coalesce(max(block_number), 0) FROM slots WHERE kind = 'mint'")
        if not last:
            return False
        depth = min(max(at_least, head - last + 1), DEEPEST)
        self.chain.node.call("anvil_reorg", depth, [])
        self.done.reorganisations.append(depth)
        self.console.print(f"  the last {depth} blocks were reorganised away")
        return True

    def _stand_still(self) -> bool:
        """No block comes until a mint counted as stuck and a dearer one took its place; False: none is under way."""
        if not self._one("SELECT count(*) FROM slots WHERE kind = 'mint' AND state = 'open'"):
            return False
        started = time.monotonic()
        before = self._one("SELECT count(*) FROM attempts WHERE number > 1")
        while time.monotonic() - started < STUCK_LONGEST_SECONDS:
            if self._one("SELECT count(*) FROM attempts WHERE number > 1") > before:
                break
            time.sleep(0.2)
        self.done.stood_still_seconds = time.monotonic() - started
        self.console.print(f"  no block came for {self.done.stood_still_seconds:.0f} s")
        return True

    def _ask_again(self) -> bool:
        """Every payment asks for its tokens once more."""
        paid = self._owner.execute("SELECT tenant_id, payment_id FROM payments WHERE state = 'succeeded'").fetchall()
        with open_database(self.fleet.stack.environment(), "mints-proof") as db, db.system_transaction() as tx:
            append(tx, *(MintRequested(tenant_id=tenant, payment_id=payment) for tenant, payment in paid))
        self.done.requests_again += len(paid)
        return True

    # ------------------------------------------------------------------------------------------ what is looked at

    def _confirmed(self) -> int:
        return self._one("SELECT count(*) FROM mints WHERE state = 'confirmed'")

    def _is_busy(self) -> bool:
        return bool(self._one("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM slots "
                              "WHERE state IN ('open', 'mined'))"))  # fmt: skip

    def _one(self, statement: str) -> int:
        row = self._owner.execute(statement.encode()).fetchone()
        assert row is not None, "an aggregate always returns a row"
        return int(row[0])

    def _print(self, done: int) -> None:
        if time.monotonic() - self._printed_at < 5:
            return
        self._printed_at = time.monotonic()
        paid = self._one("SELECT count(*) FROM payments WHERE state = 'succeeded'")
        self.console.print(
            f"  {paid} payments, {done} of {self.plan.tickets} tokens confirmed; {self.done.kills} kills, "
            f"{self.fleet.deaths} deaths, {self.done.blocks} blocks"
        )


def _show(console: Console, done: Interference, truth: Truth) -> None:
    table = Table(title="mints: what was done, and what came of it", title_justify="left", show_header=False)
    rows: list[tuple[str, Any]] = [
        ("seconds", f"{done.seconds:.0f}"),
        ("killed at random, armed points", f"{done.kills}, {done.armed}"),
        ("blocks, reorganised", f"{done.blocks}, {done.reorganisations}"),
        ("mints asked for again", done.requests_again),
        ("tickets", truth.tickets),
        ("tokens on the chain, with the right owner", f"{truth.tokens}, {truth.right_owners}"),
        ("events, with the right royalty", f"{truth.events}, {truth.right_royalties}"),
        ("transactions (nonces), signed versions", f"{truth.transactions}, {truth.signed_versions}"),
        ("replaced because stuck, reverted, lost", f"{truth.replaced}, {truth.reverted}, {truth.lost_nonces}"),
        ("tickets reorganised and minted again", truth.reorganised),
        ("published as minted", truth.published),
        ("gas for a ticket", truth.gas_per_ticket),
    ]
    for name, value in rows:
        table.add_row(name, str(value))
    console.print(table)
    for problem in truth.problems:
        console.print(f"- {problem}", style="red")
    console.print("every promise holds" if not truth.problems else "NOT PROVED")
