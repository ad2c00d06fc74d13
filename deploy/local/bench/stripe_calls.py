"""What one call to Stripe costs us in CPU: our Gateway with its pooled client, and stripe-python as it comes.

The emulator answers over real HTTP in a process of its own and is not counted. TLS is not in these figures.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from uuid import uuid4

import stripe
from pydantic import SecretStr

from deploy.local.bench import cpu
from deploy.local.bench.cpu import Meter
from deploy.local.bench.ground import Ground
from deploy.local.stack.processes import MARK
from deploy.local.stripe.process import EmulatorProcess
from messages.ids import OrderId, PaymentId, TenantId
from messages.money import Money
from messages.runtime.cache import CacheSettings
from messages.runtime.settings import AppEnv
from stripe_client import payment_intents
from stripe_client.gateway import API_VERSION, Gateway
from stripe_client.rate_limit.limiter import RateLimiter
from stripe_client.settings import BudgetSettings, StripeSettings

_KEY = "sk_test_bench12345"
THREADS = 8


def measure(ground: Ground) -> None:
    count = 100 if ground.quick else 400
    database = ground.stack.directory / "bench-calls.sqlite3"
    try:
        with EmulatorProcess.start(database, "bench", environment={MARK: str(database.parent)}) as emulator:
            gateway, plain = Gateway(_settings(emulator), _governor(ground)), _plain(emulator)
            _alone(lambda: _ours(gateway), 20)
            for _ in range(ground.passes):
                ground.results.add("Stripe call CPU, 1 thread", _alone(lambda: _ours(gateway), count))
                ground.results.add("Stripe call CPU, 8 threads", _together(lambda: _ours(gateway), count))
                ground.results.add("Stripe call CPU, default client", _alone(lambda: _default(plain), count))
    finally:
        for left in database.parent.glob(database.name + "*"):
            left.unlink()


def _settings(emulator: EmulatorProcess) -> StripeSettings:
    return StripeSettings(app_env=AppEnv.LOCAL, stripe_secret_key=SecretStr(_KEY), stripe_api_base=emulator.base_url)


def _governor(ground: Ground) -> RateLimiter:
    """Asked for each call as in a worker, and never in the way."""
    budget = BudgetSettings(
        app_env=AppEnv.LOCAL, stripe_requests_per_second=10_000, stripe_endpoint_requests_per_second=10_000
    )
    return RateLimiter(budget, CacheSettings(app_env=AppEnv.LOCAL, redis_url=SecretStr(ground.stack.valkey.url)))


def _plain(emulator: EmulatorProcess) -> stripe.StripeClient:
    return stripe.StripeClient(
        _KEY,
        stripe_version=API_VERSION,
        base_addresses={"api": emulator.base_url},
        http_client=stripe.RequestsClient(),
    )


def _body() -> dict[str, Any]:
    return payment_intents.creation(
        tenant_id=TenantId(uuid4()),
        order_id=OrderId(uuid4()),
        payment_id=PaymentId(uuid4()),
        amount=Money(4200, "eur"),
        payment_method_id="pm_card_visa",
        customer_id=None,
        capture="automatic",
    )


def _ours(gateway: Gateway) -> None:
    payment_intents.create(gateway, _body(), idempotency_key=str(uuid4()), send_before=float("inf"))


def _default(client: stripe.StripeClient) -> None:
    client.v1.payment_intents.create(cast("Any", _body()), cast("Any", {"idempotency_key": str(uuid4())}))


def _alone(call: Callable[[], None], count: int) -> float:
    """CPU ms a call in one thread."""
    meter = Meter(own=cpu.own_seconds)
    with meter.running():
        for _ in range(count):
            call()
    return meter.cpu["own"] / count * 1e3


def _together(call: Callable[[], None], count: int) -> float:
    """CPU ms a call while eight threads share the client."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda _: call(), range(THREADS)))  # every thread has begun, and holds a connection
        meter = Meter(own=cpu.own_seconds)
        with meter.running():
            list(pool.map(lambda _: call(), range(count)))
    return meter.cpu["own"] / count * 1e3
