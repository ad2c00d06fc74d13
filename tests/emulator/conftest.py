"""One emulator process for all tests of this folder, emptied before each; stripe-python is the only API client."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess

stripe.enable_telemetry = False
NO_REDIRECTS = {"enabled": True, "allow_redirects": "never"}


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    database = tmp_path_factory.mktemp("emulator") / "stripe.sqlite3"
    options = ("--seed", "1", "--async-capture-delay-ms", "100", "--webhook-retry-seconds", "0.2,0.4,0.8")
    with EmulatorProcess.start(database, "test-token", *options) as process:
        yield process


@pytest.fixture
def control(emulator: EmulatorProcess) -> EmulatorControl:
    door = emulator.control()
    door.reset()
    return door


@pytest.fixture
def make_client(emulator: EmulatorProcess, control: EmulatorControl) -> Callable[..., stripe.StripeClient]:
    def make(key: str = "sk_test_tests", **options: Any) -> stripe.StripeClient:
        return stripe.StripeClient(key, base_addresses={"api": emulator.base_url}, **options)

    return make


@pytest.fixture
def client(make_client: Callable[..., stripe.StripeClient]) -> stripe.StripeClient:
    return make_client()


@pytest.fixture
def pay(client: stripe.StripeClient) -> Callable[..., stripe.PaymentIntent]:
    """Create and confirm an intent; `key` and `account` are request options, the rest are parameters."""

    def create(key: str | None = None, account: str | None = None, **changes: Any) -> stripe.PaymentIntent:
        params: dict[str, Any] = {
            "amount": 1000,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "automatic_payment_methods": NO_REDIRECTS,
        }
        options: dict[str, Any] = {"idempotency_key": key, "stripe_account": account}
        given = {name: value for name, value in options.items() if value is not None}
        return client.v1.payment_intents.create(params=params | changes, options=given)

    return create
