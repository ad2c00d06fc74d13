"""Coming and going by the login form; only where APP_ENV=local."""

from loguru import logger
from starlette.requests import Request
from starlette.responses import Response

from outbox.ops.console.visit import NOBODY, Endpoint, Page, RequestContext, Services, serve, set_cookie

COOKIE = "fleet_console"


def login_page(visit: RequestContext) -> Response:
    return visit.page("login.html", wrong=False, name="", onward=_onward(visit.query.text("next")))


def log_in(visit: RequestContext) -> Response:
    doorman = visit.room.doorman
    assert doorman is not None, "this route exists only with one"
    name, onward = visit.form.text("name"), _onward(visit.form.text("next"))
    token = doorman.token_for(name, visit.form.text("password"))
    if token is None:
        logger.warning("login rejected: wrong name or password")
        return visit.page("login.html", status=401, wrong=True, name=name, onward=onward)
    logger.info("{} logged in", name)
    response = visit.go(onward)
    set_cookie(visit.room, visit.request, response, visit.room.gatekeeper.cookie_name(COOKIE, visit.request), token)
    return response


def log_out(visit: RequestContext) -> Response:
    response = visit.go("/login")
    response.delete_cookie(
        visit.room.gatekeeper.cookie_name(COOKIE, visit.request),
        path="/",
        httponly=True,
        samesite="strict",
        secure=visit.room.gatekeeper.is_secure(visit.request),
    )
    return response


def for_anybody(room: Services, page: Page) -> Endpoint:
    """A page that needs no token; its forms are guarded all the same."""

    async def endpoint(request: Request) -> Response:
        return await serve(room, request, NOBODY, page)

    return endpoint


def _onward(path: str) -> str:
    """Where the person was going, if that is a page of ours."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours else "/"
