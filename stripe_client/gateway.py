"""One call to Stripe: never inside a transaction, within the budget, bounded in time, retried for a second at most,
counted, breakable.

The innermost ring of patience. What is tried again here is only what is safe with the same key and likely to pass in
under a second: a connection that was refused, a key still in use, a locked object, a 5xx that is not a replay and that
Stripe does not forbid to retry. Everything slower belongs to the queue.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import stripe
from circuitbreaker import CircuitBreaker, CircuitBreakerError
from prometheus_client import Counter, Gauge, Histogram
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random

from messages.runtime import trace
from messages.runtime.no_calls_in_transaction import refuse_inside_transaction
from stripe_client.rate_limit.limiter import RateLimiter
from stripe_client.settings import StripeSettings
from stripe_client.transport import PooledClient

API_VERSION = "2026-10-28.endive"
CONNECTIONS = 32
ATTEMPTS = 3
PATIENCE_SECONDS = 2.0
BREAKER_FAILURES = 10
BREAKER_PAUSE_SECONDS = 10

STRIPE_CALLS = Counter("fleet_stripe_calls", "Requests to Stripe by endpoint family and result", ["family", "result"])
STRIPE_SECONDS = Histogram(
    "fleet_stripe_call_seconds",
    "Duration of one HTTP request to Stripe",
    ["family"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40),
)

BREAKER_OPEN = Gauge(
    "fleet_stripe_breaker_open",
    "Worker processes whose circuit breaker is open for this endpoint family",
    ["family"],
    multiprocess_mode="livesum",
)

T = TypeVar("T")


class BreakerOpenError(Exception):
    """This endpoint family has failed so often that we leave it alone for `seconds`."""

    def __init__(self, family: str, seconds: float) -> None:
        super().__init__(f"Stripe's {family} keep failing; left alone for {seconds:.0f} s")
        self.seconds = seconds


class Gateway:
    """The process's Stripe client. Make it after a fork; it is shared by all threads.

    Without a governor nothing is held back: so do the tools that an operator runs once.
    """

    def __init__(self, settings: StripeSettings, governor: RateLimiter | None = None) -> None:
        stripe.enable_telemetry = False  # otherwise ids of earlier requests are sent and a file is written
        base = settings.stripe_api_base
        self._client = stripe.StripeClient(
            settings.stripe_secret_key.get_secret_value(),
            stripe_version=API_VERSION,
            max_network_retries=0,
            base_addresses={"api": base} if base else {},
            http_client=PooledClient(
                connect_seconds=settings.stripe_connect_timeout_seconds,
                read_seconds=settings.stripe_read_timeout_seconds,
                connections=CONNECTIONS,
            ),
        )
        self._breakers: dict[str, CircuitBreaker] = {}
        self._governor = governor

    @property
    def v1(self) -> Any:
        """The SDK's own services, for calls that are rare."""
        return self._client.v1

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        account_id: str | None = None,
    ) -> stripe.StripeResponse:
        """One request, whose answer stays plain JSON in `.data`; give it to `call`.

        With `account_id` it is made inside that connected account (Stripe-Account).

        Headers, form, errors and HTTP client are the SDK's. Only its objects are left out: to build those of one
        expanded intent took 0.9 of the 1.5 ms that a call cost us (measured with `make bench`).
        """
        named = {"idempotency_key": idempotency_key, "stripe_account": account_id}
        options = {name: value for name, value in named.items() if value is not None}
        return cast("stripe.StripeResponse", self._client.raw_request(method, path, **params, **options))

    def call(self, family: str, request: Callable[[], T]) -> T:
        """Run one request of an endpoint family.

        Raises:
            stripe.StripeError: sort it with stripe_client/errors.py.
            BreakerOpenError: nothing was sent.
            NoPermitError: a TryLater; nothing was sent by this try, and the budget has nothing to spare soon.
            OutsideCallInTransactionError: a transaction is open (M6).
        """
        refuse_inside_transaction(f"a call to Stripe's {family}")
        patience = Retrying(
            retry=retry_if_exception(passes_in_a_moment),
            stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(PATIENCE_SECONDS),
            wait=wait_random(0.05, 0.4),
            reraise=True,
        )
        try:
            return cast("T", patience(self._through, self._breaker(family), family, request))
        except CircuitBreakerError as error:
            STRIPE_CALLS.labels(family, "breaker_open").inc()
            raise BreakerOpenError(family, max(1.0, error._circuit_breaker.open_remaining)) from None

    def reserve(self, family: str) -> None:
        """Have a permit for the next call ready, before the book says that we are about to make it.

        Raises:
            NoPermitError: a TryLater; the budget has nothing to spare soon.
        """
        refuse_inside_transaction(f"asking the budget of Stripe's {family}")
        if self._governor is not None:
            self._governor.reserve(family)

    def _through(self, breaker: CircuitBreaker, family: str, request: Callable[[], T]) -> T:
        """One try. The breaker's own `call` counts failures, and does not look if it is open; its decorator does."""
        if breaker.opened:
            raise CircuitBreakerError(breaker)
        if self._governor is not None:
            self._governor.acquire(family)
        try:
            return cast("T", breaker.call(_measured, family, request))
        except stripe.RateLimitError as error:
            if self._governor is not None and error_code(error) != "lock_timeout":  # the object's, and not a rate
                self._governor.limited(family, limited_by(error))
            raise
        finally:
            BREAKER_OPEN.labels(family).set(float(breaker.opened))

    def _breaker(self, family: str) -> CircuitBreaker:
        return self._breakers.setdefault(
            family,
            CircuitBreaker(
                failure_threshold=BREAKER_FAILURES,
                recovery_timeout=BREAKER_PAUSE_SECONDS,
                expected_exception=_says_stripe_is_ill,
                name=family,
            ),
        )


def _measured(family: str, request: Callable[[], T]) -> T:
    with trace.span(f"stripe {family}", "client"):
        return _counted(family, request)


def _counted(family: str, request: Callable[[], T]) -> T:
    started = time.perf_counter()
    try:
        answer = request()
    except stripe.StripeError as error:
        STRIPE_CALLS.labels(family, f"{type(error).__name__}:{error.http_status or 'none'}").inc()
        raise
    else:
        STRIPE_CALLS.labels(family, "ok").inc()
        return answer
    finally:
        STRIPE_SECONDS.labels(family).observe(time.perf_counter() - started)


def _says_stripe_is_ill(_kind: type[BaseException], error: BaseException) -> bool:
    """Connection troubles and 5xx count against the family; declines, bad requests and limits do not."""
    if isinstance(error, stripe.APIConnectionError):
        return True
    return isinstance(error, stripe.APIError) and (error.http_status or 500) >= 500


def passes_in_a_moment(error: BaseException) -> bool:
    """True for what the same request with the same key may well answer within a second."""
    if isinstance(error, stripe.APIConnectionError):
        return bool(error.should_retry)
    if not isinstance(error, stripe.StripeError):
        return False
    if is_replay(error) or advice(error) == "false":
        return False
    if advice(error) == "true" or error_code(error) in {"idempotency_key_in_use", "lock_timeout"}:
        return True
    return isinstance(error, stripe.APIError) and error.http_status in {500, 502, 503, 504}


def is_replay(error: stripe.StripeError) -> bool:
    """True when Stripe answered from what it stored under the key, without executing anything."""
    return _header(error, "Idempotent-Replayed") == "true"


def advice(error: stripe.StripeError) -> str | None:
    """Stripe-Should-Retry: "true", "false", or None when Stripe does not say."""
    return _header(error, "Stripe-Should-Retry")


def error_code(error: stripe.StripeError) -> str | None:
    """The error's code; stripe-python sets `.code` on two classes only, so read the body's."""
    return getattr(error.error, "code", None) if error.error else error.code


def limited_by(error: stripe.StripeError) -> str | None:
    """Stripe-Rate-Limited-Reason: which of Stripe's limiters answered 429."""
    return _header(error, "Stripe-Rate-Limited-Reason")


def _header(error: stripe.StripeError, name: str) -> str | None:
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    return headers.get(name.lower())
