"""Log in and log out with the login form; only where APP_ENV=local."""

from loguru import logger
from starlette.requests import Request
from starlette.responses import Response

from outbox.ops.console.request_context import ANONYMOUS, Endpoint, Page, RequestContext, Services, serve, set_cookie

COOKIE = "fleet_console"


def login_page(context: RequestContext) -> Response:
    """GET /login: the form; `next` is where the browser continues."""
    return context.page("login.html", wrong=False, name="", next_path=_local_path(context.query.text("next")))


def log_in(context: RequestContext) -> Response:
    """POST /login: set the session cookie and continue, or show the form again with 401. The log names no rejected
    user.
    """
    login = context.services.login
    assert login is not None, "these routes exist only with a login form"
    name, next_path = context.form.text("name"), _local_path(context.form.text("next"))
    token = login.token_for(name, context.form.text("password"))
    if token is None:
        logger.warning("login rejected: wrong name or password")
        return context.page("login.html", status=401, wrong=True, name=name, next_path=next_path)
    logger.info("{} logged in", name)
    response = context.redirect(next_path)
    set_cookie(
        context.services,
        context.request,
        response,
        context.services.authenticator.cookie_name(COOKIE, context.request),
        token,
    )
    return response


def log_out(context: RequestContext) -> Response:
    """POST /logout: remove the cookie. The token itself stays valid until it expires, because nothing stores
    sessions.
    """
    response = context.redirect("/login")
    response.delete_cookie(
        context.services.authenticator.cookie_name(COOKIE, context.request),
        path="/",
        httponly=True,
        samesite="strict",
        secure=context.services.authenticator.is_secure(context.request),
    )
    return response


def without_login(services: Services, page: Page) -> Endpoint:
    """A page that needs no token; its forms are CSRF-protected all the same."""

    async def endpoint(request: Request) -> Response:
        return await serve(services, request, ANONYMOUS, page)

    return endpoint


def _local_path(path: str) -> str:
    """The path to continue to after the login, if it is a path of the console."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else "/"
