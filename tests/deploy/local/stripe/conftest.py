"""One emulator process for all tests of this folder, emptied before each; stripe-python is the only API client."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import stripe

from deploy.local.stack.ownership import Ownership
from deploy.local.stack.processes import MARK
from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess
from tests.deploy.local.stripe.spec import Judge, load

stripe.enable_telemetry = False
NO_REDIRECTS = {"enabled": True, "allow_redirects": "never"}


class KeepingClient(stripe.RequestsClient):
    """Keeps one answer of each shape, for the judge at the end of the session."""

    answers: ClassVar[dict[Any, Any]] = {}

    def request(self, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
        content, status, answered = super().request(method, url, headers, post_data)
        with contextlib.suppress(ValueError):
            answer = json.loads(content)
            self.answers[_shape(answer)] = answer
        return content, status, answered


def _shape(answer: Any) -> Any:
    """The names and types of an answer, with the words that tell its kinds apart."""
    if isinstance(answer, dict):
        tags = [str(answer.get(name)) for name in ("object", "status", "type") if isinstance(answer.get(name), str)]
        return repr((tags, sorted((name, _shape(value)) for name, value in answer.items() if name != "metadata")))
    if isinstance(answer, list):
        return repr(sorted({_shape(value) for value in answer}))
    return type(answer).__name__


@pytest.fixture(scope="session", autouse=True)
def judge_of_all_answers() -> Iterator[None]:
    """Fails the session if any answer of any test is not of Stripe's published shape (where that is to be had)."""
    yield
    described = load()
    if described is not None:
        judge = Judge(described)
        errors = {error for answer in KeepingClient.answers.values() for error in judge.errors_of_answer(answer)}
        assert errors == set()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    directory = tmp_path_factory.mktemp("emulator")
    options = (
        "--seed",
        "1",
        "--verify-ledger",
        "1",
        "--async-capture-delay-ms",
        "100",
        "--webhook-retry-seconds",
        "0.2,0.4,0.8",
    )
    with (
        Ownership(directory),
        EmulatorProcess.start(
            directory / "stripe.sqlite3", "test-token", *options, environment={MARK: str(directory)}
        ) as process,
    ):
        yield process


@pytest.fixture
def control(emulator: EmulatorProcess) -> EmulatorControl:
    fresh = emulator.control()
    fresh.reset()
    return fresh


@pytest.fixture
def make_client(emulator: EmulatorProcess, control: EmulatorControl) -> Callable[..., stripe.StripeClient]:
    def make(key: str = "sk_test_tests", **options: Any) -> stripe.StripeClient:
        given = {"http_client": KeepingClient()} | options
        return stripe.StripeClient(key, base_addresses={"api": emulator.base_url}, **given)

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


@pytest.fixture
def venue(control: EmulatorControl) -> str:
    """A connected account that may receive and charge."""
    return str(control.account("acct_venue")["id"])


@pytest.fixture
def refund(client: stripe.StripeClient, control: EmulatorControl) -> Callable[..., stripe.Refund]:
    """Ask for one, of an intent unless a charge is named; the balance may go below zero until a test forbids it."""
    control.set_refunds_beyond_balance("overdraw")

    def create(of: str | None = None, key: str | None = None, **params: Any) -> stripe.Refund:
        named = {} if of is None else {"payment_intent": of}
        options: Any = {} if key is None else {"idempotency_key": key}
        return client.v1.refunds.create(params={**named, **params}, options=options)

    return create
