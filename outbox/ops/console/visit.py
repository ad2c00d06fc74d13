"""One request of one person: who it is, what the form said, and the room with everything a page needs.

`guarded` stands before each page: token, role, and for a POST the CSRF token, in this order; then the page runs in a
thread, because it reads the database.
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
NOBODY = SignedInOperator("", frozenset())


@dataclass(frozen=True)
class Services:
    """What all pages share. `doorman` is None where nobody logs in by form; `budget` looks into the cache."""

    db: Database
    ops: OpsSettings
    sealer: Sealer
    gatekeeper: Authenticator
    forgery: CsrfProtection
    watch: Sampler
    templates: Environment
    doorman: Login | None
    budget: Callable[[], list[BucketState]] | None = None


class FormFields:
    """What a form or a query said; a field that is missing is an empty text."""

    def __init__(self, encoded: str) -> None:
        try:
            fields = parse_qs(encoded.replace("%00", ""), keep_blank_values=True, max_num_fields=2000)
        except ValueError:
            raise PageError(413, "there are more fields than any of our forms has") from None
        self._fields = fields

    def text(self, name: str) -> str:
        return self._fields.get(name, [""])[0].strip()

    def texts(self, name: str) -> list[str]:
        return [text.strip() for text in self._fields.get(name, [])]

    def number(self, name: str, *, otherwise: int, lowest: int, highest: int) -> int:
        try:
            return min(max(int(self.text(name)), lowest), highest)
        except ValueError:
            return otherwise


@dataclass(frozen=True)
class RequestContext:
    request: Request
    room: Services
    person: SignedInOperator
    seed: str
    form: FormFields = field(default_factory=lambda: FormFields(""))

    @property
    def db(self) -> Database:
        return self.room.db

    @property
    def operator(self) -> Operator:
        return Operator(self.room.db, self.room.ops, self.person.name)

    @property
    def query(self) -> FormFields:
        return FormFields(self.request.url.query)

    def id_in_path(self, name: str) -> UUID:
        identifier: UUID = self.request.path_params[name]  # the route's convertor has made it one
        return identifier

    def page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        sample = self.room.watch.latest
        shared = {
            "open_letters": sample.glance.open_dead_letters if sample else 0,
            "waiting_disputes": sample.glance.waiting_disputes if sample else 0,
            "open_cases": sample.glance.open_cases if sample else 0,
            "person": self.person,
            "roles": OperatorRole,
            "csrf_field": FIELD,
            "csrf_token": token_for(self.seed, self.person.name),
            "path": self.request.url.path,
            "done": self.query.text("done"),
            "has_login": self.room.doorman is not None,
        }
        return HTMLResponse(self.room.templates.get_template(template).render(shared | context), status_code=status)

    def go(self, path: str, **query: str) -> Response:
        """On to another page after something was done, so that a reload does it no second time."""
        return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, status_code=303)


Page = Callable[[RequestContext], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(room: Services, role: OperatorRole, page: Page) -> Endpoint:
    """The page, for people with this role only.

    Raises (from the endpoint):
        Trouble: 401 without a token that holds, 403 without the role or the form's own token.
    """

    async def endpoint(request: Request) -> Response:
        try:
            person = room.gatekeeper.person_of(request)
        except NotSignedInError as error:
            raise PageError(401, str(error)) from None
        if not person.may(role):
            raise PageError(403, f"{person.name} may not do this: it needs the role {role.value}")
        return await serve(room, request, person, page)

    return endpoint


async def serve(room: Services, request: Request, person: SignedInOperator, page: Page) -> Response:
    """Run the page, after its form was read and found to be ours; give the browser its CSRF cookie."""
    form = FormFields("")
    if request.method == "POST":
        form = FormFields(await _body(request))
        token = form.text(FIELD) or request.headers.get(HEADER, "")
        if not room.forgery.holds(request, person.name, token):
            raise PageError(403, "this form is not from a page of ours, or too old; load the page again and repeat it")
    known = room.forgery.seed_of(request)
    seed = known or new_seed()
    response = await run_in_threadpool(page, RequestContext(request, room, person, seed, form))
    if known is None:
        set_cookie(room, request, response, room.forgery.cookie_name(request), seed)
    return response


def set_cookie(room: Services, request: Request, response: Response, name: str, value: str) -> None:
    secure = room.gatekeeper.is_secure(request)
    response.set_cookie(name, value, path="/", httponly=True, samesite="strict", secure=secure)


async def _body(request: Request) -> str:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_FORM_BYTES:
            raise PageError(413, "this form is larger than any of ours")
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise PageError(400, "a form is sent as application/x-www-form-urlencoded") from None
