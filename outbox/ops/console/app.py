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
from outbox.ops.console.auth.tokens import OperatorRole
from outbox.ops.console.pages import (
    dead_letter_actions,
    dead_letters,
    disputes,
    groups,
    login,
    mints,
    operator_log,
    overview,
    payments,
    payouts,
    queues,
    rate_limits,
    reconciliation,
    refunds,
    replay_batches,
    shares,
)
from outbox.ops.console.responses import PageError, SafeHeaders, problem, wants_json
from outbox.ops.console.visit import Page, Services, guarded
from outbox.requests.refusals import RefusedError

# Path, page, role; a GET needs the reader.
PAGES: dict[str, Page] = {
    "/": overview.index,
    "/live": overview.live,
    "/dead-letters": dead_letters.index,
    "/dead-letters/groups": dead_letters.groups,
    "/dead-letters/{letter:uuid}": dead_letters.detail,
    "/batches": replay_batches.index,
    "/batches/{batch:uuid}": replay_batches.detail,
    "/batches/{batch:uuid}/live": replay_batches.progress,
    "/approvals": replay_batches.approvals,
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
    "/budget": rate_limits.index,
    "/budget/live": rate_limits.live,
    "/reconciliation": reconciliation.index,
    "/reconciliation/cases/{case:uuid}": reconciliation.case,
    "/operator-log": operator_log.index,
}
DECISIONS: dict[str, tuple[Page, OperatorRole]] = {
    "/dead-letters/preview": (dead_letter_actions.preview, OperatorRole.OPERATOR),
    "/dead-letters/discard": (dead_letter_actions.discard, OperatorRole.OPERATOR),
    "/dead-letters/{letter:uuid}/edit": (dead_letter_actions.edit, OperatorRole.OPERATOR),
    "/disputes/{dispute}/evidence": (disputes.draft, OperatorRole.OPERATOR),
    "/disputes/{dispute}/decide": (disputes.decide, OperatorRole.OPERATOR),
    "/batches/{batch:uuid}/start": (replay_batches.start, OperatorRole.OPERATOR),
    "/batches/{batch:uuid}/cancel": (replay_batches.cancel, OperatorRole.OPERATOR),
    "/batches/{batch:uuid}/approve": (replay_batches.approve, OperatorRole.APPROVER),
    "/refunds/{refund:uuid}/retry": (refunds.retry, OperatorRole.OPERATOR),
    "/refunds/approvals/{name:uuid}": (refunds.approve, OperatorRole.APPROVER),
    "/refunds/approvals/{name:uuid}/withdraw": (refunds.withdraw, OperatorRole.OPERATOR),
    "/refunds/events/{run:uuid}/pause": (refunds.pause, OperatorRole.OPERATOR),
    "/refunds/events/{run:uuid}/resume": (refunds.resume, OperatorRole.OPERATOR),
    "/refunds/events/{run:uuid}/stop": (refunds.stop, OperatorRole.OPERATOR),
    "/shares/payments/{payment:uuid}/release": (shares.release, OperatorRole.OPERATOR),
    "/shares/payments/{payment:uuid}/hold": (shares.hold, OperatorRole.OPERATOR),
    "/shares/wishes/{wish:uuid}/approve": (shares.approve, OperatorRole.APPROVER),
    "/shares/wishes/{wish:uuid}/withdraw": (shares.withdraw, OperatorRole.OPERATOR),
    "/budget/pauses": (rate_limits.pause, OperatorRole.OPERATOR),
    "/budget/pauses/{pause:uuid}/lift": (rate_limits.lift, OperatorRole.OPERATOR),
    "/reconciliation/cases/{case:uuid}/close": (reconciliation.close, OperatorRole.OPERATOR),
}


def app(room: Services, app_env: AppEnv) -> Starlette:
    encrypted = app_env in (AppEnv.STAGING, AppEnv.PRODUCTION)
    return Starlette(
        routes=_routes(room),
        middleware=[Middleware(SafeHeaders, encrypted=encrypted)],
        exception_handlers=_handlers(room),
    )


def _routes(room: Services) -> list[BaseRoute]:
    edit = "/dead-letters/{letter:uuid}/edit"
    routes: list[BaseRoute] = [
        Mount("/static", StaticFiles(directory=str(files("outbox.ops.console") / "static"))),
        Route("/health/live", _live),
        Route("/health/ready", _ready(room)),
        *(Route(path, guarded(room, OperatorRole.READER, page)) for path, page in PAGES.items()),
        Route(edit, guarded(room, OperatorRole.OPERATOR, dead_letter_actions.edit_page)),
        *(Route(path, guarded(room, role, page), methods=["POST"]) for path, (page, role) in DECISIONS.items()),
    ]
    if room.doorman is not None:
        routes += [
            Route("/login", login.for_anybody(room, login.login_page)),
            Route("/login", login.for_anybody(room, login.log_in), methods=["POST"]),
            Route("/logout", guarded(room, OperatorRole.READER, login.log_out), methods=["POST"]),
        ]
    return routes


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "live"})


def _ready(room: Services) -> Callable[[Request], object]:
    async def ready(_request: Request) -> Response:
        try:
            await run_in_threadpool(room.db.wait_until_reachable, seconds=2)
        except (psycopg.Error, PoolTimeout):
            return JSONResponse({"status": "not ready", "database": "down"}, status_code=503)
        return JSONResponse({"status": "ready", "database": "up"})

    return ready


def _handlers(room: Services) -> dict[object, Callable[[Request, Exception], Response]]:
    """Every trouble becomes a sentence; what nobody foresaw is logged whole and told without its text."""

    def trouble(request: Request, error: Exception) -> Response:
        assert isinstance(error, PageError), "it is registered for this class"
        return _told(room, request, error)

    def refused(request: Request, error: Exception) -> Response:
        return _told(room, request, PageError(409, str(error)))

    def unrouted(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "it is registered for this class"
        sentence = {404: "there is no such page", 405: "this page answers to another method"}
        return _told(room, request, PageError(error.status_code, sentence.get(error.status_code, error.detail)))

    def away(request: Request, error: Exception) -> Response:
        logger.warning("page failed, database unavailable: {}", type(error).__name__)
        return _told(room, request, PageError(503, "the database is away; try again in a moment"))

    def unforeseen(request: Request, error: Exception) -> Response:
        logger.opt(exception=error).error("console page failed")
        return _told(room, request, PageError(500, "this page failed, and the log says why"))

    return {
        PageError: trouble,
        RefusedError: refused,
        HTTPException: unrouted,
        psycopg.OperationalError: away,
        PoolTimeout: away,
        Exception: unforeseen,
    }


def _told(room: Services, request: Request, trouble: PageError) -> Response:
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
