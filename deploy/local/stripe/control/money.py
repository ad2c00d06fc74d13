"""What the banks decide, through the control API: refunds that arrive or fail, disputes, warnings, payouts."""

from collections.abc import Callable

from starlette.requests import Request

from .. import PLATFORM
from ..resources.charges import lifecycle as charges
from ..resources.disputes import lifecycle as disputes
from ..resources.disputes.body import Complaint
from ..resources.early_fraud_warnings import lifecycle as early_fraud_warnings
from ..resources.payouts import lifecycle as payouts
from ..resources.refunds import lifecycle as refunds
from ..settings import BEYOND_BALANCE
from ..state.recorder import Origin
from ..state.store import Record
from ..webhooks.dispatcher import Dispatcher
from ..wire.errors import Json
from ..world import World
from .errors import RefusedError


class MoneyControl:
    """What the buyer's bank, the card network and the seller's bank decide."""

    def __init__(self, world: World, dispatcher: Dispatcher) -> None:
        self.world, self.dispatcher = world, dispatcher

    def routes(self) -> dict[str, Callable[[Request, Json], Json]]:
        """Path to handler; all are POST."""
        return {
            "/_control/refunds/{refund}/outcome": self.refund,
            "/_control/refunds_beyond_balance": self.beyond_balance,
            "/_control/charges/{charge}/dispute": self.dispute,
            "/_control/disputes/{dispute}/outcome": self.decide,
            "/_control/charges/{charge}/early_fraud_warning": self.warning,
            "/_control/payouts": self.pay_out,
            "/_control/payouts_of_all_accounts": self.pay_out_all,
            "/_control/payouts/{payout}/outcome": self.payout,
        }

    def refund(self, request: Request, given: Json) -> Json:
        """{"outcome": "succeed" | "fail" | "ask_buyer", "reason": why it failed}: returns the refund."""
        account, refund = given.get("account") or PLATFORM, request.path_params["refund"]
        outcome, reason = given.get("outcome"), given.get("reason") or "expired_or_canceled_card"
        if reason not in refunds.FAILURE_REASONS:
            raise RefusedError(400, f"a failure reason is one of {', '.join(sorted(refunds.FAILURE_REASONS))}")
        match outcome:
            case "succeed":
                return self._change(refunds.settle, account, "refund", refund)
            case "fail":
                return self._change(refunds.fail, account, "refund", refund, reason)
            case "ask_buyer":
                return self._change(refunds.ask_buyer, account, "refund", refund)
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
                    refunds.fund_waiting(self.world, account)
            self.dispatcher.send_fresh()
        return {"policy": policy}

    def dispute(self, request: Request, given: Json) -> Json:
        """{"reason": ..., "amount": minor units, "inquiry": bool}: the buyer's bank disputes a charge."""
        charge, amount = self._charge(request, given), given.get("amount")
        if given.get("reason", "fraudulent") not in disputes.REASONS:
            raise RefusedError(400, f"a reason is one of {', '.join(sorted(disputes.REASONS))}")
        if amount is not None and not 1 <= amount <= charge.body["amount_captured"]:
            raise RefusedError(400, f"an amount is 1 to {charge.body['amount_captured']}")
        if amount is None and charge.body["refunded"]:
            raise RefusedError(409, f"{charge.id} has been refunded; name an amount to dispute it all the same")
        if charges.charged_back(self.world, charge):
            raise RefusedError(409, f"{charge.id} has been charged back already")
        complaint = Complaint(given.get("reason", "fraudulent"), bool(given.get("inquiry")), amount)
        return self._do(lambda: disputes.raise_against(self.world, charge, complaint).body)

    def decide(self, request: Request, given: Json) -> Json:
        """{"outcome": a status, "fee_comes_back": bool}: one of the moves that a dispute may make."""
        account, dispute = given.get("account") or PLATFORM, request.path_params["dispute"]
        outcome = given.get("outcome")
        if outcome not in disputes.MOVES:
            raise RefusedError(400, f"outcome is one of {', '.join(disputes.MOVES)}")

        def step(world: World, account: str, dispute_id: str) -> bool:
            found = world.store.find(account, "dispute", dispute_id)
            back = bool(given.get("fee_comes_back"))
            return found is not None and disputes.decide(world, found, outcome, Origin(), fee_comes_back=back)

        return self._change(step, account, "dispute", dispute)

    def warning(self, request: Request, given: Json) -> Json:
        """{"fraud_type": ...}: the card's bank warns of fraud."""
        charge, fraud_type = self._charge(request, given), given.get("fraud_type", "misc")
        if fraud_type not in early_fraud_warnings.FRAUD_TYPES:
            raise RefusedError(400, f"a fraud type is one of {', '.join(sorted(early_fraud_warnings.FRAUD_TYPES))}")
        return self._do(lambda: early_fraud_warnings.issue(self.world, charge, fraud_type).body)

    def pay_out(self, request: Request, given: Json) -> Json:
        """The schedule's automatic payouts of everything available, one a currency; none where nothing is."""
        account = given.get("account") or PLATFORM
        return self._do(lambda: {"data": [made.body for made in payouts.pay_out_everything(self.world, account)]})

    def pay_out_all(self, request: Request, given: Json) -> Json:
        """The same for every connected account: {"acct_...": [payouts]}; those with nothing available are left out."""
        rows = self.world.store.execute("SELECT id FROM objects WHERE kind = 'account' ORDER BY sequence").fetchall()
        return self._do(lambda: self._pay_out([account for (account,) in rows]))

    def _pay_out(self, accounts: list[str]) -> Json:
        made = {account: payouts.pay_out_everything(self.world, account) for account in accounts}
        return {account: [payout.body for payout in payouts] for account, payouts in made.items() if payouts}

    def payout(self, request: Request, given: Json) -> Json:
        """{"outcome": "paid" | "failed", "code": why it failed}: returns the payout."""
        account, payout = given.get("account") or PLATFORM, request.path_params["payout"]
        code = given.get("code") or "account_closed"
        if code not in payouts.FAILURES:
            raise RefusedError(400, f"a failure code is one of {', '.join(payouts.FAILURES)}")
        match given.get("outcome"):
            case "paid":
                return self._change(payouts.arrive, account, "payout", payout)
            case "failed":
                return self._change(payouts.fail, account, "payout", payout, code)
        raise RefusedError(400, "outcome is paid or failed")

    def _charge(self, request: Request, given: Json) -> Record:
        """The charge of the path, which may also be named by its intent; the bank knows only what a buyer has paid."""
        account, name = given.get("account") or PLATFORM, request.path_params["charge"]
        intent = self.world.store.find(account, "payment_intent", name)
        if intent is not None:
            name = intent.body["latest_charge"] or name
        charge = self.world.store.find(account, "charge", name)
        if charge is None or not (charge.body["captured"] and charge.body["paid"]) or charge.body["source_transfer"]:
            raise RefusedError(404, f"no such paid charge: {name}")
        return charge

    def _do(self, step: Callable[[], Json]) -> Json:
        with self.world.store.transaction():
            made = step()
        self.dispatcher.send_fresh()
        return made

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
