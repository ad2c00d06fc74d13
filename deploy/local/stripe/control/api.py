"""The control API, on its own port and behind its own token: clock, faults, 3DS, bank debits, and the recorder.

`money.py` is what the banks decide later (refunds, disputes, payouts), `accounts.py` connected accounts. Tests, demos
and checkers use it through `client.EmulatorControl`; a product that is tested never does.
"""

import hmac
from collections.abc import Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .. import PLATFORM
from ..api.limits import Limiter
from ..resources.balance import invariants
from ..resources.payment_intents import attempts
from ..resources.webhook_endpoints import api as webhook_endpoints
from ..webhooks.dispatcher import Dispatcher
from ..wire.errors import Json
from ..world import World
from .accounts import AccountControl
from .errors import RefusedError
from .money import MoneyControl

TOKEN_HEADER = "X-Emulator-Control-Token"  # noqa: S105 - the name of the header
_PAGED = {"requests", "effects", "firings", "deliveries", "attempts"}


class ControlApi:
    """Routes and handlers; each handler takes the JSON of the request and returns the JSON of the answer."""

    def __init__(self, world: World, dispatcher: Dispatcher, limiter: Limiter) -> None:
        self.world, self.dispatcher, self.limiter = world, dispatcher, limiter
        self.money = MoneyControl(world, dispatcher)
        self.accounts = AccountControl(world, dispatcher)

    def application(self) -> ASGIApp:
        """The ASGI application: every route behind the token (401 without it), refusals as {"error": ...}."""
        of_money_and_accounts = self.money.routes() | self.accounts.routes()
        routes = [
            Route("/_control/clock", _json(self.clock), methods=["GET", "POST"]),
            Route("/_control/faults", _json(self.faults), methods=["GET", "POST", "DELETE"]),
            Route("/_control/faults/{rule}", _json(self.faults), methods=["DELETE"]),
            Route("/_control/limits", _json(self.limits), methods=["POST"]),
            Route("/_control/payment_intents/{intent}/authentication", _json(self.authentication), methods=["POST"]),
            Route("/_control/payment_intents/{intent}/settlement", _json(self.settlement), methods=["POST"]),
            *(Route(path, _json(handle), methods=["POST"]) for path, handle in of_money_and_accounts.items()),
            Route("/_control/webhook_endpoints/{endpoint}/secret", _json(self.roll_secret), methods=["POST"]),
            Route("/_control/summary", _json(self.summary), methods=["GET"]),
            Route("/_control/reset", _json(self.reset), methods=["POST"]),
            Route("/_control/{table}", _json(self.page), methods=["GET"]),
        ]
        return _Guarded(Starlette(routes=routes), self.world.settings.control_token)

    def clock(self, request: Request, given: Json) -> Json:
        """{"mode": "real"}, {"mode": "fixed", "at": seconds} or {"advance_seconds": n}; what is due runs at once."""
        clock = self.world.clock
        if given.get("mode") == "real":
            clock.run_real()
        elif given.get("mode") == "fixed":
            clock.fix(float(given["at"]) if "at" in given else clock.precise())
        if "advance_seconds" in given:
            clock.advance(float(given["advance_seconds"]))
        ran = self.world.schedule.run_due()
        self.dispatcher.send_fresh()
        return clock.describe() | {"tasks_run": ran}

    def faults(self, request: Request, given: Json) -> Json:
        """GET lists the rules, POST adds one ({"effect": ..., ...}) and returns it, DELETE removes one or all."""
        rules = self.world.faults
        if request.method == "DELETE":
            rules.clear(request.path_params.get("rule"))
        if request.method == "POST":
            return rules.add(given.pop("effect", ""), **given).describe()
        return {"data": [rule.describe() for rule in rules.rules.values()]}

    def limits(self, request: Request, given: Json) -> Json:
        """{"per_second": 100, "endpoint_per_second": 25}; null or nothing switches that limiter off."""
        self.limiter.set_rates(given.get("per_second"), given.get("endpoint_per_second"))
        return {"per_second": self.limiter.per_second, "endpoint_per_second": self.limiter.endpoint_per_second}

    def authentication(self, request: Request, given: Json) -> Json:
        """{"outcome": "succeed" | "fail"}: ends 3DS of an intent that waits for it; returns the intent."""
        return self._finish(attempts.finish_authentication, request, given, "waiting for authentication")

    def settlement(self, request: Request, given: Json) -> Json:
        """{"outcome": "succeed" | "fail"}: the bank answers for a processing intent; returns the intent."""
        return self._finish(attempts.settle, request, given, "processing")

    def _finish(self, step: Callable[[World, str, str, str], bool], request: Request, given: Json, state: str) -> Json:
        intent, account = request.path_params["intent"], given.get("account") or PLATFORM
        outcome = given.get("outcome", "succeed")
        if outcome not in ("succeed", "fail"):
            raise RefusedError(400, "outcome is succeed or fail")
        with self.world.store.transaction():
            done = step(self.world, account, intent, outcome)
        self.dispatcher.send_fresh()
        if not done:
            raise RefusedError(409, f"{intent} is not {state}")
        found = self.world.store.find(account, "payment_intent", intent)
        return found.body if found else {}

    def roll_secret(self, request: Request, given: Json) -> Json:
        """{"account": ...}: rolls the secret; the old one signs beside it until the next roll."""
        account, endpoint = given.get("account") or PLATFORM, request.path_params["endpoint"]
        with self.world.store.transaction():
            secret = webhook_endpoints.roll_secret(self.world, account, endpoint)
        if secret is None:
            raise RefusedError(404, f"no such webhook endpoint: {endpoint}")
        return {"secret": secret}

    def page(self, request: Request, given: Json) -> Json:
        """Rows of one table after a sequence, oldest first: {"data": [...], "next": sequence or null}"""
        table = request.path_params["table"]
        if table not in _PAGED:
            raise RefusedError(404, f"no such page: {table}")
        self.dispatcher.write_results()
        after, limit = int(request.query_params.get("after", 0)), int(request.query_params.get("limit", 1000))
        rows = self.world.recorder.page(table, after, min(limit, 10_000))
        return {"data": rows, "next": rows[-1]["sequence"] if len(rows) == min(limit, 10_000) else None}

    def summary(self, request: Request, given: Json) -> Json:
        """Counts and sums for the checker, and the sentences of the ledger's own check (none is good)."""
        self.dispatcher.write_results()
        rows = self.world.store.execute
        effects = "SELECT account, kind, currency, COUNT(*), SUM(amount) FROM effects GROUP BY account, kind, currency"
        names = ("account", "kind", "currency", "count", "amount")
        totals = "SELECT account, currency, net FROM totals"
        return {
            "requests": dict(
                rows("SELECT COALESCE(status, 'none'), COUNT(*) FROM requests GROUP BY status").fetchall()
            ),
            "replayed": rows("SELECT COUNT(*) FROM requests WHERE replayed").fetchone()[0],
            "effects": [dict(zip(names, row, strict=True)) for row in rows(effects)],
            "balances": [dict(zip(("account", "currency", "net"), row, strict=True)) for row in rows(totals)],
            "deliveries": dict(rows("SELECT state, COUNT(*) FROM deliveries GROUP BY state").fetchall()),
            "firings": dict(rows("SELECT effect, COUNT(*) FROM firings GROUP BY effect").fetchall()),
            "events": rows("SELECT COUNT(*) FROM events").fetchone()[0],
            "tasks": rows("SELECT COUNT(*) FROM tasks").fetchone()[0],
            "ledger_errors": invariants.broken(self.world),
            "clock": self.world.clock.describe(),
        }

    def reset(self, request: Request, given: Json) -> Json:
        """Forget everything, as on the first start; the endpoints of the start options are made again."""
        world = self.world
        self.dispatcher.forget()
        starts = world.store.setting("starts")
        with world.store.transaction():
            world.store.empty()
            world.store.save_setting("starts", starts)
            world.outbox.load_endpoints()
            webhook_endpoints.ensure_given(world)
        world.clock.run_real()
        world.faults.clear()
        world.overdraws = world.settings.refunds_beyond_balance == "overdraw"
        self.limiter.set_rates(world.settings.limit_per_second, world.settings.endpoint_limit_per_second)
        return {"reset": True}


class _Guarded:
    """Refuses whatever comes without the token."""

    def __init__(self, inner: ASGIApp, token: str) -> None:
        self.inner, self.token = inner, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"]).get(TOKEN_HEADER.lower().encode(), b"")
        if hmac.compare_digest(given, self.token):
            await self.inner(scope, receive, send)
        else:
            await _answer({"error": f"the header {TOKEN_HEADER} is missing or wrong"}, 401)(scope, receive, send)


def _json(handle: Callable[[Request, Json], Json]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await request.body()
            return _answer(handle(request, orjson.loads(body) if body else {}), 200)
        except RefusedError as refusal:
            return _answer({"error": str(refusal)}, refusal.status)
        except (ValueError, TypeError, KeyError) as error:
            return _answer({"error": f"{type(error).__name__}: {error}"}, 400)

    return endpoint


def _answer(content: Json, status: int) -> Response:
    encoded = orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)
    return Response(encoded, status, media_type="application/json")
