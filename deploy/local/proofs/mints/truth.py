"""What came of it: read from the chain by plain calls, from what was ordered, and last from the book."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg

from deploy.local.proofs.mints.sale import Wanted
from deploy.local.stack.chain import Chain
from messages.token_ids import checksummed

_OWNER_OF, _BALANCE_OF, _ROYALTY_INFO = "0x6352211e", "0x70a08231", "0x2a55205a"
PRICE = 10_000  # so that the royalty of a sale is its basis points


@dataclass(slots=True)
class Truth:
    """`problems` is empty when everything that was promised holds."""

    tickets: int
    tokens: int = 0
    right_owners: int = 0
    events: int = 0
    right_royalties: int = 0
    transactions: int = 0
    signed_versions: int = 0
    replaced: int = 0
    reorganised: int = 0
    reverted: int = 0
    lost_nonces: int = 0
    published: int = 0
    mint_messages: int = 0
    gas_per_ticket: int = 0
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def look(chain: Chain, owner: psycopg.Connection[Any], wanteds: Sequence[Wanted], order_log: Path) -> Truth:
    truth = Truth(len(wanteds))
    _look_at_tokens(truth, chain, wanteds)
    _look_at_royalties(truth, chain, wanteds)
    _look_at_nonces(truth, chain, owner)
    lines = [orjson.loads(line) for line in order_log.read_bytes().splitlines()]
    minted = Counter(line["event_id"] for line in lines if line.get("told") == "ticket.minted")
    truth.published = len(minted)
    (truth.mint_messages,) = owner.execute("SELECT count(*) FROM mint_history WHERE from_state IS NULL").fetchone() or (
        0,
    )
    _expect(
        truth,
        truth.published == truth.tickets,
        f"{truth.published} of {truth.tickets} tickets were published as minted",
    )
    return truth


def _look_at_tokens(truth: Truth, chain: Chain, wanteds: Sequence[Wanted]) -> None:
    for each in wanteds:
        owner = _owner_of(chain, each.token_id)
        truth.right_owners += owner == each.wallet
        if owner != each.wallet and len(truth.problems) < 20:
            truth.problems.append(f"token {each.token_id} belongs to {owner}, not to {each.wallet}")
    truth.tokens = sum(
        int(_call(chain, _BALANCE_OF + wallet[2:].lower().rjust(64, "0")), 16)
        for wallet in {each.wallet for each in wanteds}
    )
    _expect(truth, truth.tokens == truth.tickets, f"{truth.tokens} tokens for {truth.tickets} tickets")


def _owner_of(chain: Chain, token_id: str) -> str | None:
    from workers.minting.chain.node import NodeRefusedError  # noqa: PLC0415

    try:
        return checksummed("0x" + _call(chain, _OWNER_OF + token_id[2:])[-40:])
    except NodeRefusedError:
        return None


def _look_at_royalties(truth: Truth, chain: Chain, wanteds: Sequence[Wanted]) -> None:
    one_of_each = {each.token_id[:18]: each for each in wanteds}
    truth.events = len(one_of_each)
    for each in one_of_each.values():
        answer = _call(chain, _ROYALTY_INFO + each.token_id[2:] + f"{PRICE:064x}")
        found = checksummed("0x" + answer[26:66]), int(answer[66:], 16)
        truth.right_royalties += found == each.royalty
        _expect(truth, found == each.royalty, f"series {each.token_id[:18]} gives {found}, not {each.royalty}")


def _look_at_nonces(truth: Truth, chain: Chain, owner: psycopg.Connection[Any]) -> None:
    rows = owner.execute(
        "SELECT nonce, kind, state, gas_used, "
        "(SELECT count(*) FROM attempts a WHERE a.slot_id = s.slot_id) FROM slots s ORDER BY nonce"
    ).fetchall()
    nonces = [row[0] for row in rows]
    on_chain = int(chain.node.call("eth_getTransactionCount", chain.signer.address, "latest"), 16)
    _expect(truth, nonces == list(range(1, on_chain)), f"the chain has {on_chain} nonces, the book {len(nonces)}")
    unsettled = [row for row in rows if row[2] not in {"final", "reverted"}]
    _expect(truth, not unsettled, f"{len(unsettled)} transactions are not settled")
    truth.transactions = len(rows)
    truth.signed_versions = sum(row[4] for row in rows)
    truth.replaced = sum(row[4] > 1 for row in rows)
    truth.reverted = sum(row[2] == "reverted" for row in rows)
    truth.lost_nonces = sum(row[2] == "lost" for row in rows)
    minting = sum(row[3] or 0 for row in rows if row[1] == "mint")
    truth.gas_per_ticket = minting // max(1, truth.tickets)
    (truth.reorganised,) = owner.execute(
        "SELECT count(DISTINCT ticket_id) FROM mint_history WHERE reason = 'reorganised'"
    ).fetchone() or (0,)


def _call(chain: Chain, data: str) -> str:
    answer: str = chain.node.call("eth_call", {"to": chain.contract, "data": data}, "latest")
    return answer


def _expect(truth: Truth, holds: bool, otherwise: str) -> None:
    if not holds:
        truth.problems.append(otherwise)
