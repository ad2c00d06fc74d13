"""The client of the control API, for tests, demos, benches and checkers.

    control = EmulatorControl("http://127.0.0.1:12112", token)
    control.add_fault("drop_after", path="/v1/payment_intents", nth=1)

It imports nothing of the server, so it can be used where the emulator is only an address.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import urllib3

Json = dict[str, Any]
# An emulator that was killed is started again by its supervisor within seconds. Only what was surely not sent is sent
# again: 40 tries at most half a second apart.
_UNTIL_IT_IS_BACK = urllib3.Retry(
    total=None, connect=40, read=False, other=False, status=False, redirect=False, backoff_factor=0.05, backoff_max=0.5
)
TOKEN_HEADER = "X-Emulator-Control-Token"  # noqa: S105 - the name of the header


class ControlRefusedError(Exception):
    """The control API refused; the message says why."""


class EmulatorControl:
    """Each method is one call of the control API and raises ControlRefusedError when that refuses. `account` is a
    connected account's id; without it the platform is meant. A restarting emulator is waited for, up to 40 connection
    attempts.
    """

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._http = urllib3.PoolManager(headers={TOKEN_HEADER: token}, timeout=30.0, retries=_UNTIL_IT_IS_BACK)

    def add_fault(
        self,
        effect: str,
        *,
        method: str | None = None,
        path: str | None = None,
        account: str | None = None,
        key: str | None = None,
        event_type: str | None = None,
        nth: int | None = None,
        probability: float | None = None,
        max_firings: int | None = None,
        **details: Any,
    ) -> str:
        """Returns the id of the rule. `details` belong to the effect: seconds, reason, status, ..."""
        rule = {
            "effect": effect,
            "method": method,
            "path": path,
            "account": account,
            "key": key,
            "event_type": event_type,
            "nth": nth,
            "probability": probability,
            "max_firings": max_firings,
        }
        given = {name: value for name, value in rule.items() if value is not None} | details
        return str(self._call("POST", "/_control/faults", given)["id"])

    def faults(self) -> list[Json]:
        """The rules in force, each with how often it matched and fired."""
        return list(self._call("GET", "/_control/faults")["data"])

    def clear_faults(self, rule_id: str | None = None) -> None:
        """Remove one rule, or all of them."""
        self._call("DELETE", "/_control/faults" + (f"/{rule_id}" if rule_id else ""))

    def firings(self, rule_id: str | None = None) -> list[Json]:
        """What fired, oldest first, with the request or event that it met."""
        return [firing for firing in self._pages("firings") if rule_id in (None, firing["rule"])]

    def clock(self) -> Json:
        """{"mode": "real" | "fixed", "now": seconds since 1970, "offset_seconds": ...}"""
        return self._call("GET", "/_control/clock")

    def set_clock(self, at: float | None = None) -> Json:
        """Stand still at a moment (seconds since 1970), or without one run with real time again."""
        return self._call("POST", "/_control/clock", {"mode": "real"} if at is None else {"mode": "fixed", "at": at})

    def advance_clock(self, seconds: float) -> Json:
        """Whatever falls due on the way has happened when this returns."""
        return self._call("POST", "/_control/clock", {"advance_seconds": seconds})

    def set_limit(self, per_second: float | None, endpoint_per_second: float | None = None) -> None:
        """Requests of one account (global-rate), and of one endpoint of it (endpoint-rate); None is no limit."""
        given = {"per_second": per_second, "endpoint_per_second": endpoint_per_second}
        self._call("POST", "/_control/limits", given)

    def requests(self, after: int = 0) -> list[Json]:
        """Every API request after that sequence, oldest first: method, path, account, key, status, replayed, fault,
        request_id.
        """
        return list(self._pages("requests", after))

    def effects(self, after: int = 0) -> list[Json]:
        """Everything that moved money, oldest first: kind, object_id, payment_intent, amount (minor units), currency,
        account, request_id, key, metadata.
        """
        return list(self._pages("effects", after))

    def deliveries(self, after: int = 0) -> list[Json]:
        """Every delivery of an event to an endpoint, oldest first, with its state and its last error."""
        return list(self._pages("deliveries", after))

    def attempts(self, after: int = 0) -> list[Json]:
        """Every try of every delivery, with its status or its error."""
        return list(self._pages("attempts", after))

    def summary(self) -> Json:
        """Counts by status and kind, balances, and `ledger_errors`: sentences, none if the books agree."""
        return self._call("GET", "/_control/summary")

    def complete_authentication(self, intent: str, outcome: str = "succeed", account: str | None = None) -> Json:
        """Finish 3DS as the buyer would ("succeed" or "fail"); returns the intent."""
        given = {"outcome": outcome, "account": account}
        return self._call("POST", f"/_control/payment_intents/{intent}/authentication", given)

    def settle(self, intent: str, outcome: str = "succeed", account: str | None = None) -> Json:
        """The bank's answer for a processing intent; returns the intent."""
        given = {"outcome": outcome, "account": account}
        return self._call("POST", f"/_control/payment_intents/{intent}/settlement", given)

    def finish_refund(
        self, refund: str, outcome: str = "succeed", *, reason: str | None = None, account: str | None = None
    ) -> Json:
        """`outcome` is succeed, fail (also long after it succeeded) or ask_buyer (a pending one: requires_action)."""
        given = {"outcome": outcome, "reason": reason, "account": account}
        return self._call("POST", f"/_control/refunds/{refund}/outcome", given)

    def set_refunds_beyond_balance(self, policy: str) -> None:
        """wait: a card refund larger than the available balance is pending until there is money; or overdraw."""
        self._call("POST", "/_control/refunds_beyond_balance", {"policy": policy})

    def dispute(self, charge: str, *, account: str | None = None, **complaint: Any) -> Json:
        """Of a charge or its intent; `amount` (all that is not refunded), `reason` (fraudulent), `inquiry` (False)."""
        return self._call("POST", f"/_control/charges/{charge}/dispute", complaint | {"account": account})

    def decide_dispute(
        self, dispute: str, outcome: str, *, fee_comes_back: bool = False, account: str | None = None
    ) -> Json:
        """`outcome` is won (also of a lost one), lost, warning_closed, needs_response (an inquiry escalates),
        appeal_needs_response or appeal_under_review."""
        given = {"outcome": outcome, "fee_comes_back": fee_comes_back, "account": account}
        return self._call("POST", f"/_control/disputes/{dispute}/outcome", given)

    def warn_of_fraud(self, charge: str, fraud_type: str = "misc", account: str | None = None) -> Json:
        """An early fraud warning for a charge, or for the charge of an intent."""
        given = {"fraud_type": fraud_type, "account": account}
        return self._call("POST", f"/_control/charges/{charge}/early_fraud_warning", given)

    def pay_out(self, account: str | None = None) -> list[Json]:
        """The automatic payouts of everything available, one a currency."""
        return list(self._call("POST", "/_control/payouts", {"account": account})["data"])

    def pay_out_all(self) -> dict[str, list[Json]]:
        """The automatic payouts of every connected account in which something is available, by account."""
        return self._call("POST", "/_control/payouts_of_all_accounts")

    def finish_payout(
        self, payout: str, outcome: str = "paid", *, code: str | None = None, account: str | None = None
    ) -> Json:
        """`outcome` is paid or failed (also of one that was paid); `code` says why it failed (account_closed)."""
        given = {"outcome": outcome, "code": code, "account": account}
        return self._call("POST", f"/_control/payouts/{payout}/outcome", given)

    def account(self, account: str | None = None, **changes: Any) -> Json:
        """Make a connected account, or change the one of that id: `capabilities` ({"transfers": "pending"}; a new one
        has all of them active), `country`, `default_currency`, `payouts_enabled`, `reserves` (reversals may take its
        balance below zero). Returns the account."""
        return self._call("POST", "/_control/accounts", changes | ({} if account is None else {"id": account}))

    def set_capability(self, account: str, capability: str, status: str) -> Json:
        """`status` is active, inactive or pending; returns the capability, and its events go out."""
        return self._call("POST", f"/_control/accounts/{account}/capabilities/{capability}", {"status": status})

    def adjust_balance(self, amount_minor: int, currency: str = "usd", account: str | None = None) -> Json:
        """Put money into an account, available at once, or take it out, below zero if need be; returns its balance."""
        given = {"account": account, "amount": amount_minor, "currency": currency}
        return self._call("POST", "/_control/balance", given)

    def empty_balance(self, account: str | None = None, currency: str | None = None) -> Json:
        """Take everything out of an account, as much as is still pending too; returns its balance."""
        return self._call("POST", "/_control/balance", {"account": account, "currency": currency})

    def roll_webhook_secret(self, endpoint: str, account: str | None = None) -> str:
        """Returns the new secret; the old one goes on signing beside it until the next roll."""
        path = f"/_control/webhook_endpoints/{endpoint}/secret"
        return str(self._call("POST", path, {"account": account})["secret"])

    def reset(self) -> None:
        """Forget every object, rule and row, and set the clock to real time: as on the first start."""
        self._call("POST", "/_control/reset")

    def _pages(self, table: str, after: int = 0) -> Iterator[Json]:
        following: int | None = after
        while following is not None:
            page = self._call("GET", f"/_control/{table}?{urlencode({'after': following, 'limit': 5000})}")
            yield from page["data"]
            following = page["next"]

    def _call(self, method: str, path: str, given: Json | None = None) -> Json:
        body = None if given is None else json.dumps(given).encode()
        answer = self._http.request(method, self._base_url + path, body=body)
        content: Json = json.loads(answer.data)
        if answer.status != 200:
            raise ControlRefusedError(content.get("error", f"HTTP {answer.status}"))
        return content
