"""The context of one request: the signed-in user, the form fields, and the services that every page needs.

`guarded` wraps each page: it checks the token, the role, and for a POST the CSRF token, in this order; then the page
runs in a thread, because it reads the database.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from db.session import Database
from outbox.ops.console.auth.csrf import FIELD, HEADER, CsrfProtection, new_seed, token_for
from outbox.ops.console.auth.login import Login
from outbox.ops.console.auth.tokens import Authenticator, NotSignedInError, OperatorRole, SignedInOperator
from outbox.ops.console.responses import PageError
from outbox.ops.console.sampler import Sampler
from outbox.ops.session import Operator, OpsSettings
from outbox.sealing import Sealer
from stripe_client.rate_limit.shared_budget import BucketState

# A form holds a selection of some hundred ids, or one payload.
LARGEST_FORM_BYTES = 256 * 1024
ANONYMOUS = SignedInOperator("", frozenset())


@dataclass(frozen=True)
class Services:
    """What all pages share. `login` is None where there is no login form; `read_buckets` reads the rate limiter's state
    from the cache.
    """

    db: Database
    ops: OpsSettings
    sealer: Sealer
    authenticator: Authenticator
    csrf: CsrfProtection
    sampler: Sampler
    templates: Environment
    login: Login | None
    read_buckets: Callable[[], list[BucketState]] | None = None


class FormFields:
    """The fields of a form or a query string; a missing field is an empty string. NUL is removed: PostgreSQL stores
    none.

    Raises (on construction):
        PageError: 413, more than 2,000 fields.
    """

    def __init__(self, encoded: str) -> None:
        try:
            fields = parse_qs(encoded.replace("%00", ""), keep_blank_values=True, max_num_fields=2000)
        except ValueError:
            raise PageError(413, "too many form fields") from None
        self._fields = fields

    def text(self, name: str) -> str:
        return self._fields.get(name, [""])[0].strip()

    def texts(self, name: str) -> list[str]:
        return [text.strip() for text in self._fields.get(name, [])]

    def number(self, name: str, *, otherwise: int, lowest: int, highest: int) -> int:
        """A whole number, moved into the range; `otherwise` when the field is missing or no number."""
        try:
            return min(max(int(self.text(name)), lowest), highest)
        except ValueError:
            return otherwise


@dataclass(frozen=True)
class RequestContext:
    """One request of a signed-in user, as a page gets it.

    Attributes:
        user: ANONYMOUS on the login page.
        seed: the browser's CSRF seed, or a new one that the response sets.
        form: the fields of a POST; empty for a GET, whose query string is `query`.
    """

    request: Request
    services: Services
    user: SignedInOperator
    seed: str
    form: FormFields = field(default_factory=lambda: FormFields(""))

    @property
    def db(self) -> Database:
        return self.services.db

    @property
    def operator(self) -> Operator:
        return Operator(self.services.db, self.services.ops, self.user.name)

    @property
    def query(self) -> FormFields:
        return FormFields(self.request.url.query)

    def id_in_path(self, name: str) -> UUID:
        """A UUID of the path; the route has parsed it, so it cannot be malformed."""
        identifier: UUID = self.request.path_params[name]  # parsed by the route's convertor
        return identifier

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """Render a template with the values that every page needs, such as the counts in the navigation (from the last
        sample).
        """
        sample = self.services.sampler.latest
        shared = {
            "open_dead_letters": sample.glance.open_dead_letters if sample else 0,
            "waiting_disputes": sample.glance.waiting_disputes if sample else 0,
            "open_cases": sample.glance.open_cases if sample else 0,
            "user": self.user,
            "roles": OperatorRole,
            "csrf_field": FIELD,
            "csrf_token": token_for(self.seed, self.user.name),
            "path": self.request.url.path,
            "done": self.query.text("done"),
            "has_login": self.services.login is not None,
        }
        return HTMLResponse(self.services.templates.get_template(template).render(shared | values), status_code=status)

    def redirect(self, path: str, **query: str) -> Response:
        """Redirect after a POST (303), so that a reload does not repeat the action."""
        return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, status_code=303)


Page = Callable[[RequestContext], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(services: Services, role: OperatorRole, page: Page) -> Endpoint:
    """The page, for users with this role only.

    Raises (from the endpoint):
        PageError: 401 without a valid token, 403 without the role or a valid CSRF token.
    """

    async def endpoint(request: Request) -> Response:
        try:
            user = services.authenticator.user_of(request)
        except NotSignedInError as error:
            raise PageError(401, str(error)) from None
        if not user.may(role):
            raise PageError(403, f"{user.name} may not do this: it needs the role {role.value}")
        return await serve(services, request, user, page)

    return endpoint


async def serve(services: Services, request: Request, user: SignedInOperator, page: Page) -> Response:
    """Read the form and check its CSRF token, run the page, and set the CSRF cookie if the browser has none."""
    form = FormFields("")
    if request.method == "POST":
        form = FormFields(await _body(request))
        token = form.text(FIELD) or request.headers.get(HEADER, "")
        if not services.csrf.is_valid(request, user.name, token):
            raise PageError(403, "invalid or expired form (CSRF check failed); reload the page and submit it again")
    cookie_seed = services.csrf.seed_of(request)
    seed = cookie_seed or new_seed()
    response = await run_in_threadpool(page, RequestContext(request, services, user, seed, form))
    if cookie_seed is None:
        set_cookie(services, request, response, services.csrf.cookie_name(request), seed)
    return response


def set_cookie(services: Services, request: Request, response: Response, name: str, value: str) -> None:
    """A session cookie that no script reads (HttpOnly) and no other site sends (SameSite=Strict)."""
    secure = services.authenticator.is_secure(request)
    response.set_cookie(name, value, path="/", httponly=True, samesite="strict", secure=secure)


async def _body(request: Request) -> str:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_FORM_BYTES:
            raise PageError(413, "the form is too large")
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise PageError(400, "the form must be application/x-www-form-urlencoded") from None
