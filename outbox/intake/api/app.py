"""The API's routes. Each request is authenticated, rate-limited, validated, and then processed exactly once.

Phases: authorize (authentication.py), validate (request_body.py), respond (idempotency.py; a GET only reads). Blocking
work runs on the API's own threads and database connections (thread_pool.py): the webhooks of the same process have
their own, so neither starves the other. Each error is a problem document (RFC 9457).
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
from outbox.web.problem_codes import ProblemCode
from outbox.web.problem_details import Problem

# Responses hold payment and personal data: caches must not store them, browsers must not sniff their type.
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

# A caller is waiting: it gets a 503 well before its own timeout.
POOL_SECONDS = 3.0


class Api:
    """What all requests share: pool, cache, threads. Create it after a fork, and close it.

    Its pool is beside that of the webhooks, as large as its thread pool, so that a thread never waits for a connection.
    """

    def __init__(self, settings: ApiSettings, database: DatabaseSettings, cache: CacheSettings) -> None:
        own = database.model_copy(update={"database_pool_size": settings.api_threads})
        self._db = Database(own, application="fleet-intake-api", patience_seconds=POOL_SECONDS)
        self._cache = Cache(cache.client_url, connections=settings.api_threads)
        self._threads = ThreadPool(settings.api_threads)
        self._authenticator = Authenticator(settings, RateLimits(self._cache, settings))
        self._answers = IdempotentAnswers(self._db, self._cache)

    def close(self) -> None:
        """Wait for requests in progress, then close cache and pool; called after uvicorn has drained."""
        self._threads.close()
        self._cache.close()
        self._db.close()

    def routes(self) -> list[BaseRoute]:
        """The routes of all operations and of GET /openapi.json, whose document is built once."""
        document = openapi.text().encode()

        async def described(_request: Request) -> Response:
            return Response(document, media_type="application/json")

        return [Route("/openapi.json", described), *map(self._route, OPERATIONS)]

    def _route(self, operation: Operation) -> Route:
        async def endpoint(request: Request) -> Response:
            started = time.perf_counter()
            response = await self._respond(operation, request)
            API_REQUESTS.labels(operation.name, str(response.status_code)).inc()
            API_SECONDS.labels(operation.name).observe(time.perf_counter() - started)
            return response

        path = re.sub(r"{(\w+)}", r"{\1:uuid}", operation.path)
        return Route(path, endpoint, methods=[operation.method], name=operation.name)

    async def _respond(self, operation: Operation, request: Request) -> Response:
        """The response; every error becomes a problem document."""
        rate_limit: dict[str, str] = {}
        try:
            enter = partial(self._authenticator.authorize, request.headers, operation.permission, operation.limit)
            caller, rate_limit = await self._threads.run(enter)
            asked = ApiRequest(caller, operation.permission, **request.path_params)
            raw = await request_body.body_of(request)
            response = await self._threads.run(partial(self._handle, operation, request, asked, raw))
        except Problem as problem:
            response = problem.response()
        except psycopg.OperationalError as error:  # also if the pool had no free connection in time
            logger.warning("request failed, database unavailable: {}", type(error).__name__)
            detail = "the database is unavailable; retry with the same Idempotency-Key"
            response = Problem(ProblemCode.DATABASE_UNAVAILABLE, detail, headers={"Retry-After": "1"}).response()
        except Exception as error:  # noqa: BLE001  the caller gets a generic message, the log gets the traceback
            logger.opt(exception=error).error("API request failed")
            response = Problem(500, "internal error; see the server log").response()
        for name, value in (HEADERS | rate_limit).items():
            response.headers.setdefault(name, value)
        return response

    def _handle(self, operation: Operation, request: Request, asked: ApiRequest, raw: bytes) -> Response:
        """Runs on an API thread: trace, log fields, then a read, or work under the Idempotency-Key."""
        with (
            trace.following(*_place_of(request)) as trace_id,
            trace.span(f"{operation.method} {operation.path}", "server"),
            _logged(operation, asked, trace_id),
        ):
            if operation.reads is None:
                return self._looked_up(operation, asked)
            return self._done_once(operation, request, asked, raw)

    def _looked_up(self, operation: Operation, request: ApiRequest) -> Response:
        """A GET: one transaction of the caller's tenant, nothing is stored and no key is needed."""
        with self._db.transaction(request.caller.tenant_id) as tx:
            return operation.work(tx, request).response(replayed=False)

    def _done_once(self, operation: Operation, request: Request, asked: ApiRequest, raw: bytes) -> Response:
        """A POST: the key and the JSON are checked before the key is looked up, the schema only when the work is to be
        done, so that a stored response is also returned by a version whose schema has changed.
        """
        key = request_body.key_in(request.headers)
        value = request_body.json_in(raw, request.headers.get("content-type", ""))
        path = operation.path.format(**request.path_params)

        keyed = Keyed.of(asked.caller, key, operation.method, path, value)

        def work(tx: Tx) -> StoredAnswer:
            assert operation.reads is not None, "every POST has a request schema"
            body = request_body.read_as(operation.reads, value)
            return operation.work(tx, replace(asked, body=body, request_key=keyed.request_key))

        answer, replayed = self._answers.once(keyed, work)
        logger.info("answered with {}{}", answer.status, " (replayed)" if replayed else "")
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
