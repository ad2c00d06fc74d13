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
from outbox.ops.console.auth.csrf import FIELD, HEADER, ForgeryGuard, new_seed, token_for
from outbox.ops.console.auth.login import Doorman
from outbox.ops.console.auth.tokens import Gatekeeper, Person, Role, UnknownPersonError
from outbox.ops.console.responses import Trouble
from outbox.ops.console.sampler import Watch
from outbox.ops.dead_letters.actions import Desk, OpsSettings
from outbox.sealing import Sealer
from stripe_client.rate_limit.shared_budget import BucketState

# A form holds a selection of some hundred ids, or one payload.
LARGEST_FORM_BYTES = 256 * 1024
NOBODY = Person("", frozenset())


@dataclass(frozen=True)
class Room:
    """What all pages share. `doorman` is None where nobody logs in by form; `budget` looks into the cache."""

    db: Database
    ops: OpsSettings
    sealer: Sealer
    gatekeeper: Gatekeeper
    forgery: ForgeryGuard
    watch: Watch
    templates: Environment
    doorman: Doorman | None
    budget: Callable[[], list[BucketState]] | None = None


class Fields:
    """What a form or a query said; a field that is missing is an empty text."""

    def __init__(self, encoded: str) -> None:
        try:
            fields = parse_qs(encoded.replace("%00", ""), keep_blank_values=True, max_num_fields=2000)
        except ValueError:
            raise Trouble(413, "there are more fields than any of our forms has") from None
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
class Visit:
    request: Request
    room: Room
    person: Person
    seed: str
    form: Fields = field(default_factory=lambda: Fields(""))

    @property
    def db(self) -> Database:
        return self.room.db

    @property
    def desk(self) -> Desk:
        return Desk(self.room.db, self.room.ops, self.person.name)

    @property
    def query(self) -> Fields:
        return Fields(self.request.url.query)

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
            "roles": Role,
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


Page = Callable[[Visit], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(room: Room, role: Role, page: Page) -> Endpoint:
    """The page, for people with this role only.

    Raises (from the endpoint):
        Trouble: 401 without a token that holds, 403 without the role or the form's own token.
    """

    async def endpoint(request: Request) -> Response:
        try:
            person = room.gatekeeper.person_of(request)
        except UnknownPersonError as error:
            raise Trouble(401, str(error)) from None
        if not person.may(role):
            raise Trouble(403, f"{person.name} may not do this: it needs the role {role.value}")
        return await serve(room, request, person, page)

    return endpoint


async def serve(room: Room, request: Request, person: Person, page: Page) -> Response:
    """Run the page, after its form was read and found to be ours; give the browser its CSRF cookie."""
    form = Fields("")
    if request.method == "POST":
        form = Fields(await _body(request))
        token = form.text(FIELD) or request.headers.get(HEADER, "")
        if not room.forgery.holds(request, person.name, token):
            raise Trouble(403, "this form is not from a page of ours, or too old; load the page again and repeat it")
    known = room.forgery.seed_of(request)
    seed = known or new_seed()
    response = await run_in_threadpool(page, Visit(request, room, person, seed, form))
    if known is None:
        set_cookie(room, request, response, room.forgery.cookie_name(request), seed)
    return response


def set_cookie(room: Room, request: Request, response: Response, name: str, value: str) -> None:
    secure = room.gatekeeper.is_secure(request)
    response.set_cookie(name, value, path="/", httponly=True, samesite="strict", secure=secure)


async def _body(request: Request) -> str:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_FORM_BYTES:
            raise Trouble(413, "this form is larger than any of ours")
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise Trouble(400, "a form is sent as application/x-www-form-urlencoded") from None
