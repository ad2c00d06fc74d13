"""Connected accounts through the control API: make one, let it receive or forbid it, fill or empty its balance."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from .. import PLATFORM
from ..resources.accounts import lifecycle as accounts
from ..resources.accounts.body import CAPABILITIES, STATUSES, capability
from ..resources.balance import ledger
from ..resources.balance.amounts import check_currency
from ..state.recorder import Origin
from ..state.store import Record
from ..webhooks.dispatcher import Dispatcher
from ..wire.errors import Json, StripeError
from ..world import World
from .errors import RefusedError


class AccountControl:
    """Connected accounts and balances, changed without the API's checks."""

    def __init__(self, world: World, dispatcher: Dispatcher) -> None:
        self.world, self.dispatcher = world, dispatcher

    def routes(self) -> dict[str, Callable[[Request, Json], Json]]:
        """Path to handler; all are POST."""
        return {
            "/_control/accounts": self.account,
            "/_control/accounts/{account}/capabilities/{capability}": self.capability,
            "/_control/balance": self.balance,
        }

    def account(self, request: Request, given: Json) -> Json:
        """{"id", "country", "default_currency", "capabilities": {name: status}, "payouts_enabled", "reserves"}.

        Makes the account, or changes the one of that id; without capabilities a new one may receive and charge.
        """
        return self._do(lambda: self._account(given))

    def _account(self, given: Json) -> Json:
        account_id = given.get("id")
        if account_id is not None and not account_id.startswith("acct_"):
            raise RefusedError(400, "an account's id starts with acct_")
        account = accounts.find(self.world, account_id) if account_id else None
        if account is None:
            described = {name: given[name] for name in ("country", "default_currency", "email") if given.get(name)}
            account = accounts.make(self.world, described, Origin(), account_id)
            given.setdefault("capabilities", dict.fromkeys(CAPABILITIES, "active"))
        for name, status in (given.get("capabilities") or {}).items():
            self._set(account, name, status)
        if "reserves" in given:
            account.private["reserves"] = bool(given["reserves"])
            self.world.save(account)
        if given.get("payouts_enabled", account.body["payouts_enabled"]) != account.body["payouts_enabled"]:
            accounts.update(self.world, account, {"payouts_enabled": given["payouts_enabled"]}, Origin())
        return account.body

    def capability(self, request: Request, given: Json) -> Json:
        """{"status": "active" | "inactive" | "pending"}: returns the capability."""
        account, name = self._found(request), request.path_params["capability"]
        return self._do(lambda: self._set(account, name, given.get("status")))

    def _set(self, account: Record, name: str, status: Any) -> Json:
        if name not in CAPABILITIES or status not in STATUSES:
            names, statuses = ", ".join(CAPABILITIES), ", ".join(STATUSES)
            raise RefusedError(400, f"a capability is one of {names}; a status is one of {statuses}")
        accounts.change_capability(self.world, account, name, status, Origin())
        return capability(account, name)

    def balance(self, request: Request, given: Json) -> Json:
        """{"account", "amount": signed minor units or nothing, "currency"}: an adjustment, available at once.

        Without an amount everything is taken, in one currency or in all: what is available and what is still pending.
        """
        account = given.get("account") or PLATFORM
        if not accounts.exists(self.world, account):
            raise RefusedError(404, f"no such account: {account}")
        return self._do(lambda: self._adjust(account, given))

    def _adjust(self, account: str, given: Json) -> Json:
        if given.get("amount") is not None:
            self._book(account, check_currency(given.get("currency") or "usd"), int(given["amount"]))
            return ledger.current(self.world, account)
        rows = self.world.store.execute("SELECT currency, net FROM totals WHERE account = ?", (account,)).fetchall()
        for currency, net in rows:
            if net and given.get("currency") in (None, currency):
                self._book(account, currency, -net)
        return ledger.current(self.world, account)

    def _book(self, account: str, currency: str, amount_minor: int) -> None:
        ledger.book(
            self.world,
            account=account,
            kind="adjustment",
            reporting_category="other_adjustment",
            source=None,
            amount_minor=amount_minor,
            fee_minor=0,
            currency=currency,
            available_on=self.world.clock.now(),
            description="Set by the control API of the emulator",
        )

    def _found(self, request: Request) -> Record:
        account = accounts.find(self.world, request.path_params["account"])
        if account is None:
            raise RefusedError(404, f"no such account: {request.path_params['account']}")
        return account

    def _do(self, step: Callable[[], Json]) -> Json:
        try:
            with self.world.store.transaction():
                made = step()
        except StripeError as error:
            raise RefusedError(400, str(error)) from error
        self.dispatcher.send_fresh()
        return made
