"""The console's routes, the role each one needs, and its error pages."""

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
from outbox.ops.console.request_context import Page, Services, guarded
from outbox.ops.console.responses import PageError, SafeHeaders, problem, wants_json
from outbox.requests.refusals import RefusedError

# Each path and its page; every GET needs the role reader.
PAGES: dict[str, Page] = {
    "/": overview.index,
    "/live": overview.live,
    "/dead-letters": dead_letters.index,
    "/dead-letters/groups": dead_letters.groups,
    "/dead-letters/{dead_letter:uuid}": dead_letters.detail,
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
    "/dead-letters/{dead_letter:uuid}/edit": (dead_letter_actions.edit, OperatorRole.OPERATOR),
    "/disputes/{dispute}/evidence": (disputes.draft, OperatorRole.OPERATOR),
    "/disputes/{dispute}/decide": (disputes.decide, OperatorRole.OPERATOR),
    "/batches/{batch:uuid}/start": (replay_batches.start, OperatorRole.OPERATOR),
    "/batches/{batch:uuid}/cancel": (replay_batches.cancel, OperatorRole.OPERATOR),
    "/batches/{batch:uuid}/approve": (replay_batches.approve, OperatorRole.APPROVER),
    "/refunds/{refund:uuid}/retry": (refunds.retry, OperatorRole.OPERATOR),
    "/refunds/approvals/{request:uuid}": (refunds.approve, OperatorRole.APPROVER),
    "/refunds/approvals/{request:uuid}/withdraw": (refunds.withdraw, OperatorRole.OPERATOR),
    "/refunds/events/{run:uuid}/pause": (refunds.pause, OperatorRole.OPERATOR),
    "/refunds/events/{run:uuid}/resume": (refunds.resume, OperatorRole.OPERATOR),
    "/refunds/events/{run:uuid}/stop": (refunds.stop, OperatorRole.OPERATOR),
    "/shares/payments/{payment:uuid}/release": (shares.release, OperatorRole.OPERATOR),
    "/shares/payments/{payment:uuid}/hold": (shares.hold, OperatorRole.OPERATOR),
    "/shares/wishes/{request:uuid}/approve": (shares.approve, OperatorRole.APPROVER),
    "/shares/wishes/{request:uuid}/withdraw": (shares.withdraw, OperatorRole.OPERATOR),
    "/budget/pauses": (rate_limits.pause, OperatorRole.OPERATOR),
    "/budget/pauses/{pause:uuid}/lift": (rate_limits.lift, OperatorRole.OPERATOR),
    "/reconciliation/cases/{case:uuid}/close": (reconciliation.close, OperatorRole.OPERATOR),
}


def app(services: Services, app_env: AppEnv) -> Starlette:
    """The ASGI application: routes, error pages and security headers. HSTS is sent in staging and production only."""
    encrypted = app_env in (AppEnv.STAGING, AppEnv.PRODUCTION)
    return Starlette(
        routes=_routes(services),
        middleware=[Middleware(SafeHeaders, encrypted=encrypted)],
        exception_handlers=_handlers(services),
    )


def _routes(services: Services) -> list[BaseRoute]:
    """All routes. The login form's exist only where `services.login` is set, which is APP_ENV=local."""
    edit = "/dead-letters/{dead_letter:uuid}/edit"
    routes: list[BaseRoute] = [
        Mount("/static", StaticFiles(directory=str(files("outbox.ops.console") / "static"))),
        Route("/health/live", _live),
        Route("/health/ready", _ready(services)),
        *(Route(path, guarded(services, OperatorRole.READER, page)) for path, page in PAGES.items()),
        Route(edit, guarded(services, OperatorRole.OPERATOR, dead_letter_actions.edit_page)),
        *(Route(path, guarded(services, role, page), methods=["POST"]) for path, (page, role) in DECISIONS.items()),
    ]
    if services.login is not None:
        routes += [
            Route("/login", login.without_login(services, login.login_page)),
            Route("/login", login.without_login(services, login.log_in), methods=["POST"]),
            Route("/logout", guarded(services, OperatorRole.READER, login.log_out), methods=["POST"]),
        ]
    return routes


async def _live(_request: Request) -> Response:
    """200 while the event loop runs."""
    return JSONResponse({"status": "live"})


def _ready(services: Services) -> Callable[[Request], object]:
    """200 while the database answers: it is the one dependency without which no page can be shown."""

    async def ready(_request: Request) -> Response:
        try:
            await run_in_threadpool(services.db.wait_until_reachable, seconds=2)
        except (psycopg.Error, PoolTimeout):
            return JSONResponse({"status": "not ready", "database": "down"}, status_code=503)
        return JSONResponse({"status": "ready", "database": "up"})

    return ready


def _handlers(services: Services) -> dict[object, Callable[[Request, Exception], Response]]:
    """One error page per kind of exception; an unexpected one is logged with its traceback, which the page does not
    show.
    """

    def page_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, PageError), "it is registered for this class"
        return _error_response(services, request, error)

    def refused(request: Request, error: Exception) -> Response:
        return _error_response(services, request, PageError(409, str(error)))

    def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "it is registered for this class"
        sentence = {404: "page not found", 405: "this page does not support the request method"}
        return _error_response(
            services, request, PageError(error.status_code, sentence.get(error.status_code, error.detail))
        )

    def database_down(request: Request, error: Exception) -> Response:
        logger.warning("page failed, database unavailable: {}", type(error).__name__)
        return _error_response(services, request, PageError(503, "the database is unreachable; try again in a moment"))

    def unexpected(request: Request, error: Exception) -> Response:
        logger.opt(exception=error).error("console page failed")
        return _error_response(services, request, PageError(500, "internal error; see the server log"))

    return {
        PageError: page_error,
        RefusedError: refused,
        HTTPException: no_route,
        psycopg.OperationalError: database_down,
        PoolTimeout: database_down,
        Exception: unexpected,
    }


def _error_response(services: Services, request: Request, error: PageError) -> Response:
    """A problem document for a program, the login form for a browser without a session, otherwise the error page."""
    if wants_json(request):
        return problem(error)
    if error.status == 401 and services.login is not None:
        return _redirect_to_login(request)
    page = services.templates.get_template("error.html").render(error=error)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return HTMLResponse(page, status_code=error.status, headers=headers)


def _redirect_to_login(request: Request) -> Response:
    """htmx follows a redirect inside the page; the header HX-Redirect navigates the whole browser."""
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    next_path = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"/login?{urlencode({'next': next_path})}", status_code=303)
