"""Does every party's ledger balance equal Stripe's, and was no transfer made twice? Asked of the accounts themselves.

`fleet verify` compares transfers and reversals one by one. This looks from the other side: at what lies in each
connected account and what its payouts have sent to a bank, and at the emulator's own recorder of what it ever did.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from db.session import Database
from db.shares import verify_balances
from deploy.local.stripe.control import EmulatorControl
from stripe_client.gateway import Gateway

_LEFT_NOTHING = frozenset({"failed", "canceled"})


@dataclass(frozen=True, slots=True)
class Accounts:
    """`off`: account and currency -> (by the ledger, at Stripe), where the two differ. `twice`: ids of transfers."""

    accounts: int
    transfers: int
    reversals: int
    off: dict[tuple[str, str], tuple[int, int]]
    twice: list[str]

    @property
    def holds(self) -> bool:
        return not self.off and not self.twice and self.transfers > 0


def look(db: Database, gateway: Gateway, control: EmulatorControl, accounts: Sequence[str]) -> Accounts:
    at_stripe: dict[tuple[str, str], int] = defaultdict(int)
    for account in sorted(set(accounts)):
        for currency, minor in _ever_received(gateway, account).items():
            at_stripe[account, currency] += minor
    with db.system_transaction() as tx:
        reached = verify_balances.accounts_reached(tx)
    effects = control.effects()
    made = Counter(effect["metadata"].get("transfer_id", "") for effect in effects if effect["kind"] == "transfer")
    taken = Counter(
        effect["metadata"].get("reversal_id", "") for effect in effects if effect["kind"] == "transfer_reversal"
    )
    return Accounts(
        accounts=len(set(accounts)),
        transfers=made.total(),
        reversals=taken.total(),
        off={
            key: (reached.get(key, 0), at_stripe.get(key, 0))
            for key in sorted(reached.keys() | at_stripe.keys())
            if reached.get(key, 0) != at_stripe.get(key, 0)
        },
        twice=sorted(name for counted in (made, taken) for name, count in counted.items() if name and count > 1),
    )


def _ever_received(gateway: Gateway, account: str) -> Counter[str]:
    """What lies in the account, by currency, and what its payouts took to its bank."""
    held: Counter[str] = Counter()
    balance: Any = gateway.send("get", "/v1/balance", {}, account_id=account).data
    for kind in ("available", "pending"):
        for part in balance[kind]:
            held[part["currency"]] += part["amount"]
    params: dict[str, Any] = {"limit": 100}
    while True:
        page: Any = gateway.send("get", "/v1/payouts", params, account_id=account).data
        for payout in page["data"]:
            if payout["status"] not in _LEFT_NOTHING:
                held[payout["currency"]] += payout["amount"]
        if not page["has_more"]:
            return held
        params["starting_after"] = page["data"][-1]["id"]


def show(console: Console, found: Accounts) -> None:
    console.print(
        f"{found.accounts} connected accounts, {found.transfers:,} transfers and {found.reversals:,} reversals at "
        f"Stripe: {len(found.off)} accounts differ from the ledger, {len(found.twice)} were made twice"
    )
    for (account, currency), (ledger, stripe) in list(found.off.items())[:20]:
        console.print(f"- {account}: the ledger says {ledger:,} {currency}, Stripe {stripe:,}", style="red")
    for name in found.twice[:20]:
        console.print(f"- {name} was made twice", style="red")
