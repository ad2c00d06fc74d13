"""What the bank's side decides, through the control door: refunds that arrive or fail, and money that is not there."""

from collections.abc import Callable

from starlette.requests import Request

from deploy.local.stripe import PLATFORM
from deploy.local.stripe.bank import refunding
from deploy.local.stripe.settings import BEYOND_BALANCE
from deploy.local.stripe.webhooks.dispatcher import Dispatcher
from deploy.local.stripe.wire.errors import Json
from deploy.local.stripe.world import World


class RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BankDoor:
    def __init__(self, world: World, dispatcher: Dispatcher) -> None:
        self.world, self.dispatcher = world, dispatcher

    def routes(self) -> dict[str, Callable[[Request, Json], Json]]:
        return {
            "/_control/refunds/{refund}/outcome": self.refund,
            "/_control/refunds_beyond_balance": self.beyond_balance,
        }

    def refund(self, request: Request, given: Json) -> Json:
        """{"outcome": "succeed" | "fail" | "ask_buyer", "reason": why it failed}: returns the refund."""
        account, refund = given.get("account") or PLATFORM, request.path_params["refund"]
        outcome, reason = given.get("outcome"), given.get("reason") or "expired_or_canceled_card"
        if reason not in refunding.FAILURE_REASONS:
            raise RefusedError(400, f"a failure reason is one of {', '.join(sorted(refunding.FAILURE_REASONS))}")
        match outcome:
            case "succeed":
                return self._change(refunding.settle, account, "refund", refund)
            case "fail":
                return self._change(refunding.fail, account, "refund", refund, reason)
            case "ask_buyer":
                return self._change(refunding.ask_buyer, account, "refund", refund)
        raise RefusedError(400, "outcome is succeed, fail or ask_buyer")

    def beyond_balance(self, request: Request, given: Json) -> Json:
        """{"policy": "wait" | "overdraw"}: what a card refund larger than the available balance does."""
        policy = given.get("policy")
        if policy not in BEYOND_BALANCE:
            raise RefusedError(400, f"policy is one of {', '.join(BEYOND_BALANCE)}")
        self.world.overdraws = policy == "overdraw"
        if self.world.overdraws:
            with self.world.store.transaction():
                for (account,) in self.world.store.execute("SELECT DISTINCT account FROM objects").fetchall():
                    refunding.fund_waiting(self.world, account)
            self.dispatcher.send_fresh()
        return {"policy": policy}

    def _change(self, step: Callable[..., bool], account: str, kind: str, subject: str, *more: object) -> Json:
        """One step of the bank in one transaction; returns the object as it is now."""
        with self.world.store.transaction():
            done = step(self.world, account, subject, *more)
        self.dispatcher.send_fresh()
        found = self.world.store.find(account, kind, subject)
        if found is None:
            raise RefusedError(404, f"no such {kind}: {subject}")
        if not done:
            raise RefusedError(409, f"{subject} has a status of {found.body['status']}")
        return found.body
