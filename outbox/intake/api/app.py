"""The API's routes. One request: who is it, may it, how often; then its key and body; then the work, exactly once.

Phases: let in (entrance.py), read (reading.py), answer (answers.py; a GET only reads). Everything that waits runs on
the API's own few threads and database connections (bench.py): the webhooks of the same process have others, so neither
starves the other. Each error is a problem document (RFC 9457).
"""

import re
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

import psycopg
from loguru import logger
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from db.session import Database, Tx
from db.settings import DatabaseSettings
from messages.runtime import trace
from messages.runtime.cache import CacheSettings
from outbox.intake.api import openapi, request_body
from outbox.intake.api.authentication import Authenticator
from outbox.intake.api.cache import Cache
from outbox.intake.api.idempotency import IdempotentAnswers, Keyed, StoredAnswer
from outbox.intake.api.operations import OPERATIONS, Operation
from outbox.intake.api.payments import ApiRequest
from outbox.intake.api.rate_limits import RateLimits
from outbox.intake.api.settings import ApiSettings
from outbox.intake.api.thread_pool import ThreadPool
from outbox.process.logs import bound
from outbox.process.metrics import API_REQUESTS, API_SECONDS
from outbox.web.problem_details import Problem

# Answers are about money and people: no cache keeps one, no browser guesses at one.
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

# A caller is waiting: it hears that the database is away before it would give up by itself.
POOL_SECONDS = 3.0


class Api:
    """What all requests share. Make it after a fork, and close it."""

    def __init__(self, settings: ApiSettings, database: DatabaseSettings, cache: CacheSettings) -> None:
        own = database.model_copy(update={"database_pool_size": settings.api_threads})
        self._db = Database(own, application="fleet-intake-api", patience_seconds=POOL_SECONDS)
        self._fast = Cache(cache.client_url, connections=settings.api_threads)
        self._bench = ThreadPool(settings.api_threads)
        self._entrance = Authenticator(settings, RateLimits(self._fast, settings))
        self._answers = IdempotentAnswers(self._db, self._fast)

    def close(self) -> None:
        self._bench.close()
        self._fast.close()
        self._db.close()

    def routes(self) -> list[BaseRoute]:
        document = openapi.text().encode()

        async def described(_request: Request) -> Response:
            return Response(document, media_type="application/json")

        return [Route("/openapi.json", described), *map(self._route, OPERATIONS)]

    def _route(self, operation: Operation) -> Route:
        async def endpoint(request: Request) -> Response:
            started = time.perf_counter()
            response = await self._told(operation, request)
            API_REQUESTS.labels(operation.name, str(response.status_code)).inc()
            API_SECONDS.labels(operation.name).observe(time.perf_counter() - started)
            return response

        path = re.sub(r"{(\w+)}", r"{\1:uuid}", operation.path)
        return Route(path, endpoint, methods=[operation.method], name=operation.name)

    async def _told(self, operation: Operation, request: Request) -> Response:
        """The response, whatever happened on the way to it."""
        room: dict[str, str] = {}
        try:
            enter = partial(self._entrance.let_in, request.headers, operation.permission, operation.limit)
            caller, room = await self._bench.run(enter)
            asked = ApiRequest(caller, operation.permission, **request.path_params)
            raw = await request_body.body_of(request)
            response = await self._bench.run(partial(self._served, operation, request, asked, raw))
        except Problem as problem:
            response = problem.response()
        except psycopg.OperationalError as error:  # also when no connection of the pool came free
            logger.warning("request not answered, the database is away: {}", type(error).__name__)
            said = "the database is away; repeat it with the same Idempotency-Key"
            response = Problem(503, said, code="database-away", headers={"Retry-After": "1"}).response()
        except Exception as error:  # noqa: BLE001  whatever it is, the caller gets our words and the log gets all of it
            logger.opt(exception=error).error("a request of the API failed")
            response = Problem(500, "this request failed here, and the log says why").response()
        for name, value in (HEADERS | room).items():
            response.headers.setdefault(name, value)
        return response

    def _served(self, operation: Operation, request: Request, asked: ApiRequest, raw: bytes) -> Response:
        with (
            trace.following(*_place_of(request)) as trace_id,
            trace.span(f"{operation.method} {operation.path}", "server"),
            _logged(operation, asked, trace_id),
        ):
            if operation.reads is None:
                return self._looked_up(operation, asked)
            return self._done_once(operation, request, asked, raw)

    def _looked_up(self, operation: Operation, request: ApiRequest) -> Response:
        with self._db.transaction(request.caller.tenant_id) as tx:
            return operation.work(tx, request).response(replayed=False)

    def _done_once(self, operation: Operation, request: Request, asked: ApiRequest, raw: bytes) -> Response:
        key = request_body.key_in(request.headers)
        value = request_body.json_in(raw, request.headers.get("content-type", ""))
        path = operation.path.format(**request.path_params)

        keyed = Keyed.of(asked.caller, key, operation.method, path, value)

        def work(tx: Tx) -> StoredAnswer:
            assert operation.reads is not None, "a POST reads a body, if only an empty one"
            body = request_body.read_as(operation.reads, value)
            return operation.work(tx, replace(asked, body=body, request_key=keyed.request_key))

        answer, replayed = self._answers.once(keyed, work)
        logger.info("answered with {}{}", answer.status, ", as before" if replayed else "")
        return answer.response(replayed=replayed)


def _logged(operation: Operation, request: ApiRequest, trace_id: str) -> AbstractContextManager[None]:
    tenant_id = request.caller.tenant_id
    return bound(tenant_id=tenant_id, payment_id=request.payment_id, actor=operation.name, trace_id=trace_id)


def _place_of(request: Request) -> tuple[str, str | None]:
    """The caller's own trace and span (W3C Trace Context), or a new trace."""
    parts = request.headers.get("traceparent", "").split("-")
    if len(parts) != 4 or not trace.is_trace_id(parts[1]):
        return trace.new(), None
    return parts[1], parts[2] if trace.is_span_id(parts[2]) else None
