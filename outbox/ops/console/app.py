"""The console: every page, who may see it, and what happens when something goes wrong."""

from collections.abc import Callable
from importlib.resources import files
from urllib.parse import urlencode

import psycopg
from loguru import logger
from psycopg_pool import PoolTimeout
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from messages.runtime.settings import AppEnv
from outbox.ops.console.auth import sessions
from outbox.ops.console.auth.tokens import Role
from outbox.ops.console.pages import dead_letter_actions as deciding
from outbox.ops.console.pages import dead_letters as letters
from outbox.ops.console.pages import (
    disputes,
    groups,
    mints,
    overview,
    payments,
    payouts,
    queues,
    reconciliation,
    refunds,
    shares,
)
from outbox.ops.console.pages import operator_log as log
from outbox.ops.console.pages import rate_limits as budget
from outbox.ops.console.pages import replay_batches as batches
from outbox.ops.console.responses import SafeHeaders, Trouble, problem, wants_json
from outbox.ops.console.visit import Page, Room, guarded
from outbox.ops.dead_letters.actions import RefusedError

# Path, page, role; a GET needs the reader.
PAGES: dict[str, Page] = {
    "/": overview.index,
    "/live": overview.live,
    "/dead-letters": letters.index,
    "/dead-letters/groups": letters.groups,
    "/dead-letters/{letter:uuid}": letters.detail,
    "/batches": batches.index,
    "/batches/{batch:uuid}": batches.detail,
    "/batches/{batch:uuid}/live": batches.progress,
    "/approvals": batches.approvals,
    "/payments": payments.index,
    "/payments/{payment:uuid}": payments.detail,
    "/disputes": disputes.index,
    "/disputes/{dispute}": disputes.detail,
    "/refunds": refunds.index,
    "/refunds/events/{run:uuid}": refunds.event,
    "/refunds/events/{run:uuid}/live": refunds.event_live,
    "/shares": shares.index,
    "/shares/payments/{payment:uuid}": shares.payment,
    "/groups": groups.index,
    "/groups/{group:uuid}": groups.detail,
    "/mints": mints.index,
    "/mints/{ticket:uuid}": mints.detail,
    "/payouts": payouts.index,
    "/payouts/{payout}": payouts.detail,
    "/queues": queues.index,
    "/budget": budget.index,
    "/budget/live": budget.live,
    "/reconciliation": reconciliation.index,
    "/reconciliation/cases/{case:uuid}": reconciliation.case,
    "/operator-log": log.index,
}
DECISIONS: dict[str, tuple[Page, Role]] = {
    "/dead-letters/preview": (deciding.preview, Role.OPERATOR),
    "/dead-letters/discard": (deciding.discard, Role.OPERATOR),
    "/dead-letters/{letter:uuid}/edit": (deciding.edit, Role.OPERATOR),
    "/disputes/{dispute}/evidence": (disputes.draft, Role.OPERATOR),
    "/disputes/{dispute}/decide": (disputes.decide, Role.OPERATOR),
    "/batches/{batch:uuid}/start": (batches.start, Role.OPERATOR),
    "/batches/{batch:uuid}/cancel": (batches.cancel, Role.OPERATOR),
    "/batches/{batch:uuid}/approve": (batches.approve, Role.APPROVER),
    "/refunds/{refund:uuid}/retry": (refunds.retry, Role.OPERATOR),
    "/refunds/approvals/{name:uuid}": (refunds.approve, Role.APPROVER),
    "/refunds/approvals/{name:uuid}/withdraw": (refunds.withdraw, Role.OPERATOR),
    "/refunds/events/{run:uuid}/pause": (refunds.pause, Role.OPERATOR),
    "/refunds/events/{run:uuid}/resume": (refunds.resume, Role.OPERATOR),
    "/refunds/events/{run:uuid}/stop": (refunds.stop, Role.OPERATOR),
    "/shares/payments/{payment:uuid}/release": (shares.release, Role.OPERATOR),
    "/shares/payments/{payment:uuid}/hold": (shares.hold, Role.OPERATOR),
    "/shares/wishes/{wish:uuid}/approve": (shares.approve, Role.APPROVER),
    "/shares/wishes/{wish:uuid}/withdraw": (shares.withdraw, Role.OPERATOR),
    "/budget/pauses": (budget.pause, Role.OPERATOR),
    "/budget/pauses/{pause:uuid}/lift": (budget.lift, Role.OPERATOR),
    "/reconciliation/cases/{case:uuid}/close": (reconciliation.close, Role.OPERATOR),
}


def app(room: Room, app_env: AppEnv) -> Starlette:
    encrypted = app_env in (AppEnv.STAGING, AppEnv.PRODUCTION)
    return Starlette(
        routes=_routes(room),
        middleware=[Middleware(SafeHeaders, encrypted=encrypted)],
        exception_handlers=_handlers(room),
    )


def _routes(room: Room) -> list[BaseRoute]:
    edit = "/dead-letters/{letter:uuid}/edit"
    routes: list[BaseRoute] = [
        Mount("/static", StaticFiles(directory=str(files("outbox.ops.console") / "static"))),
        Route("/health/live", _live),
        Route("/health/ready", _ready(room)),
        *(Route(path, guarded(room, Role.READER, page)) for path, page in PAGES.items()),
        Route(edit, guarded(room, Role.OPERATOR, deciding.edit_page)),
        *(Route(path, guarded(room, role, page), methods=["POST"]) for path, (page, role) in DECISIONS.items()),
    ]
    if room.doorman is not None:
        routes += [
            Route("/login", sessions.for_anybody(room, sessions.login_page)),
            Route("/login", sessions.for_anybody(room, sessions.log_in), methods=["POST"]),
            Route("/logout", guarded(room, Role.READER, sessions.log_out), methods=["POST"]),
        ]
    return routes


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "live"})


def _ready(room: Room) -> Callable[[Request], object]:
    async def ready(_request: Request) -> Response:
        try:
            await run_in_threadpool(room.db.wait_until_reachable, seconds=2)
        except (psycopg.Error, PoolTimeout):
            return JSONResponse({"status": "not ready", "database": "down"}, status_code=503)
        return JSONResponse({"status": "ready", "database": "up"})

    return ready


def _handlers(room: Room) -> dict[object, Callable[[Request, Exception], Response]]:
    """Every trouble becomes a sentence; what nobody foresaw is logged whole and told without its text."""

    def trouble(request: Request, error: Exception) -> Response:
        assert isinstance(error, Trouble), "it is registered for this class"
        return _told(room, request, error)

    def refused(request: Request, error: Exception) -> Response:
        return _told(room, request, Trouble(409, str(error)))

    def unrouted(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "it is registered for this class"
        sentence = {404: "there is no such page", 405: "this page answers to another method"}
        return _told(room, request, Trouble(error.status_code, sentence.get(error.status_code, error.detail)))

    def away(request: Request, error: Exception) -> Response:
        logger.warning("page not shown, the database is away: {}", type(error).__name__)
        return _told(room, request, Trouble(503, "the database is away; try again in a moment"))

    def unforeseen(request: Request, error: Exception) -> Response:
        logger.opt(exception=error).error("a page of the console failed")
        return _told(room, request, Trouble(500, "this page failed, and the log says why"))

    return {
        Trouble: trouble,
        RefusedError: refused,
        HTTPException: unrouted,
        psycopg.OperationalError: away,
        PoolTimeout: away,
        Exception: unforeseen,
    }


def _told(room: Room, request: Request, trouble: Trouble) -> Response:
    if wants_json(request):
        return problem(trouble)
    if trouble.status == 401 and room.doorman is not None:
        return _to_the_login(request)
    page = room.templates.get_template("trouble.html").render(trouble=trouble)
    headers = {"WWW-Authenticate": "Bearer"} if trouble.status == 401 else None
    return HTMLResponse(page, status_code=trouble.status, headers=headers)


def _to_the_login(request: Request) -> Response:
    """htmx follows a redirect inside the page; its own header sends the whole browser."""
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    onward = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"/login?{urlencode({'next': onward})}", status_code=303)
