"""The public HTTP server: Stripe's webhooks, the API, health and metrics. Requests are stored; workers process them.

POST /webhooks/stripe   2xx only after the event and its drain message are committed; 400 for a bad signature
GET  /health/live       this process runs
GET  /health/ready      as on HEALTH_PORT: 503 if the database is unavailable; only the relay depends on the broker
GET  /metrics           Prometheus
...                     the API: outbox/intake/api/

Errors are application/problem+json (RFC 9457).
"""

import time
from collections.abc import Sequence
from functools import partial

import psycopg
from loguru import logger
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from db.session import Database
from db.settings import DatabaseSettings
from messages.runtime.cache import CacheSettings
from outbox.broker.settings import BrokerSettings, HttpSettings
from outbox.intake.api.app import Api
from outbox.intake.api.settings import ApiSettings
from outbox.intake.stripe_events import receive
from outbox.monitoring.checks import broker_check, cache_check, database_check
from outbox.process.health import Check, Health
from outbox.process.http_server import listen
from outbox.process.metrics import INTAKE_WEBHOOKS, WEBHOOK_SECONDS, exposition
from outbox.process.run import Process, Program, Work
from outbox.web.problem_details import problem
from stripe_client.event_snapshots import UnreadableEventError
from stripe_client.webhook_signatures import BadSignatureError, WebhookSettings, verify

# Stripe's events are a few kilobytes; larger bodies are rejected.
LARGEST_WEBHOOK_BYTES = 512 * 1024
REFUSALS = ("bad_signature", "unreadable", "wrong_mode", "too_large", "not_stored")


class WebhookEndpoint:
    """The handlers of webhooks, health and metrics, and what they need; `api` are the routes served beside them.

    The handlers run on the event loop; whatever waits for the database runs in a thread of Starlette's pool.
    """

    def __init__(
        self,
        db: Database,
        secrets: WebhookSettings,
        health: Health,
        api: Sequence[BaseRoute] = (),
    ) -> None:
        for outcome in REFUSALS:  # shown from the start: Prometheus sees no increase in what appears with its first
            INTAKE_WEBHOOKS.labels(outcome)
        self._db = db
        self._api = api
        self._secrets = secrets.stripe_webhook_secrets
        self._livemode = secrets.in_production
        self._health = health

    def app(self) -> Starlette:
        """The ASGI application; call it once."""
        app = Starlette(
            routes=[
                Route("/webhooks/stripe", self.stripe_webhook, methods=["POST"]),
                Route("/health/live", self.live),
                Route("/health/ready", self.ready),
                Route("/metrics", self.metrics),
                *self._api,
            ],
            exception_handlers={HTTPException: _unrouted},
        )
        app.router.redirect_slashes = False  # it would send a POST, and its caller, to whatever Host was named
        return app

    async def stripe_webhook(self, request: Request) -> Response:
        """Store one event of Stripe: 204 once it is committed, also when it was stored before.

        400 for a bad signature, an unreadable event or the other mode (test or live), 413 for a body that is too large,
        503 when it could not be stored. Stripe sends again after anything but 2xx
        (https://docs.stripe.com/webhooks#retries).
        """
        started = time.perf_counter()
        raw = await _read(request)
        if raw is None:
            return _counted("too_large", problem(413, f"the body exceeds {LARGEST_WEBHOOK_BYTES} bytes"))
        response = await run_in_threadpool(self._store, raw, request.headers.get("stripe-signature"))
        WEBHOOK_SECONDS.observe(time.perf_counter() - started)
        return response

    def _store(self, raw: bytes, signature: str | None) -> Response:
        """Verify, store, answer; runs in a thread. The signature is checked on the raw bytes, before anything is
        parsed.
        """
        try:
            event = verify(raw, signature, self._secrets)
        except BadSignatureError as error:
            logger.warning("webhook rejected: invalid signature")
            return _counted("bad_signature", problem(400, str(error)))
        except UnreadableEventError as error:
            logger.warning("webhook rejected: {}", error)
            return _counted("unreadable", problem(400, str(error)))
        if event.livemode != self._livemode:
            logger.error("webhook rejected: event with livemode={}, expected the opposite", event.livemode)
            return _counted("wrong_mode", problem(400, "the event's livemode does not match this environment"))
        try:
            new = receive(self._db, event)
        except psycopg.Error as error:
            logger.warning("webhook not stored, Stripe will resend it: {}", type(error).__name__)
            return _counted("not_stored", problem(503, "the event could not be stored; resend it"))
        return _counted("stored" if new else "duplicate", Response(status_code=204))

    async def live(self, _request: Request) -> Response:
        """200 as long as the event loop runs."""
        return JSONResponse({"status": "live"})

    async def ready(self, request: Request) -> Response:
        """As `/health/ready` of every process (outbox/process/health.py)."""
        status, told = await run_in_threadpool(self._health.answer, request.url.path)
        return JSONResponse(told, status_code=status)

    async def metrics(self, _request: Request) -> Response:
        """The metrics of all processes that share PROMETHEUS_MULTIPROC_DIR, not only of this one."""
        body, content_type = await run_in_threadpool(exposition)
        return Response(body, media_type=content_type)


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "it is registered for this class"
    details = {404: "no such resource", 405: f"{request.method} is not allowed here"}
    return problem(error.status_code, details.get(error.status_code, error.detail), headers=error.headers)


async def _read(request: Request) -> bytes | None:
    """The raw body, or None when it is larger than a webhook can be."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_WEBHOOK_BYTES:
            return None
    return bytes(raw)


def _counted(outcome: str, response: Response) -> Response:
    INTAKE_WEBHOOKS.labels(outcome).inc()
    return response


def checks_of(db: Database, cache: CacheSettings, broker: BrokerSettings) -> dict[str, Check]:
    """The checks that the health page of this process shows; NEEDED has those that decide readiness."""
    return {"db": database_check(db), "redis": cache_check(cache), "broker": broker_check(broker)}


# Webhooks and orders are accepted while the database is available; only the relay depends on the broker.
NEEDED = ("db",)


def _http_intake(
    process: Process,
    database: DatabaseSettings,
    broker: BrokerSettings,
    cache: CacheSettings,
    http: HttpSettings,
    secrets: WebhookSettings,
    api_settings: ApiSettings,
) -> Work:
    db = process.database(database)
    api = Api(api_settings, database, cache)
    process.closing.callback(api.close)
    health = process.serve_health(checks_of(db, cache, broker), NEEDED)
    app = WebhookEndpoint(db, secrets, health, api.routes()).app()
    return partial(listen, app, process.name, process.stopping, host=http.intake_http_host, port=http.intake_http_port)


def main() -> None:
    """The `intake-http` process. Exit codes: 0 stopped, 69 the address is taken, 75 held up while stopping, 78
    settings.
    """
    intake = Program("intake-http", goodbye="http intake stopped; all accepted requests are committed")
    intake.run(
        (DatabaseSettings, BrokerSettings, CacheSettings, HttpSettings, WebhookSettings, ApiSettings), _http_intake
    )


if __name__ == "__main__":
    main()
