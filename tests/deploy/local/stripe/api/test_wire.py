"""What travels: keys, versions, parameters, headers and the exception classes of stripe-python."""

import asyncio
import base64
import socket
import time
from collections.abc import Callable

import pytest
import stripe
import urllib3

from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess

Pay = Callable[..., stripe.PaymentIntent]


@pytest.mark.parametrize("key", ["sk_live_x", "rk_live_x", "pk_test_x", "nonsense"])
def test_only_test_keys_are_taken(make_client: Callable[..., stripe.StripeClient], key: str) -> None:
    with pytest.raises(stripe.AuthenticationError) as refusal:
        make_client(key).v1.balance.retrieve()
    assert refusal.value.http_status == 401
    assert key not in str(refusal.value)


def test_restricted_keys_and_basic_auth_are_taken(
    emulator: EmulatorProcess, make_client: Callable[..., stripe.StripeClient]
) -> None:
    assert make_client("rk_test_x").v1.balance.retrieve().livemode is False
    basic = base64.b64encode(b"sk_test_x:").decode()
    answer = urllib3.request("GET", f"{emulator.base_url}/v1/balance", headers={"Authorization": f"Basic {basic}"})
    assert answer.status == 200


def test_the_async_client_is_served_too(make_client: Callable[..., stripe.StripeClient]) -> None:
    asynchronous = make_client(http_client=stripe.HTTPXClient())
    assert asyncio.run(asynchronous.v1.balance.retrieve_async()).object == "balance"


def test_every_answer_names_its_request_and_the_emulator(pay: Pay) -> None:
    headers = pay(key="names").last_response.headers
    assert headers["Request-Id"].startswith("req_")
    assert headers["Idempotency-Key"] == "names"
    assert headers["Stripe-Version"] == "2026-10-28.endive"
    assert headers["X-Stripe-Emulator"]


def test_a_request_whose_sender_dies_before_its_body_is_whole_has_no_effect(
    emulator: EmulatorProcess, client: stripe.StripeClient, pay: Pay
) -> None:
    held = pay(capture_method="manual")
    path = f"/v1/payment_intents/{held.id}/capture"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_x\r\nIdempotency-Key: torn"
    with socket.create_connection(("127.0.0.1", int(emulator.base_url.rpartition(":")[2]))) as sender:
        sender.sendall(f"{head}\r\nContent-Length: 21\r\n\r\n".encode())
        sender.shutdown(socket.SHUT_WR)
        while sender.recv(65536):
            continue

    captured = client.v1.payment_intents.capture(
        held.id, params={"amount_to_capture": 100}, options={"idempotency_key": "torn"}
    )

    assert captured.amount_received == 100


def test_another_api_version_is_refused(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.balance.retrieve(options={"stripe_version": "2024-04-10"})
    assert refusal.value.code == "emulator_api_version"


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"colour": "red"}, "parameter_unknown", "colour"),
        ({"automatic_payment_methods": {"on": True}}, "parameter_unknown", "automatic_payment_methods[on]"),
        ({"payment_method_types": ["card"]}, "payment_method_types_no_longer_supported", "payment_method_types"),
        ({"payment_method": "pm_card_unheard_of"}, "resource_missing", "payment_method"),
        ({"customer": "cus_unheard_of"}, "resource_missing", "customer"),
        ({"amount": "ten"}, "parameter_invalid_integer", "amount"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"amount": 49}, "amount_too_small", "amount"),
        ({"amount": 100_000_000}, "amount_too_large", "amount"),
        ({"amount": 49, "currency": "jpy"}, "amount_too_small", "amount"),
        ({"amount": 1001, "currency": "kwd"}, None, "amount"),
        ({"currency": "xyz"}, None, "currency"),
        ({"metadata": {"k" * 41: "v"}}, None, f"metadata[{'k' * 41}]"),
        ({"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ({"metadata": {str(n): "v" for n in range(51)}}, None, "metadata"),
        ({"automatic_payment_methods": {"enabled": True}}, "parameter_missing", "return_url"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    pay: Pay, changes: dict[str, object], code: str | None, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        pay(**changes)
    assert (refusal.value.http_status, refusal.value.code, refusal.value.param) == (400, code, param)


def test_a_known_parameter_without_effect_here_is_a_501(pay: Pay) -> None:
    with pytest.raises(stripe.APIError) as refusal:
        pay(radar_options={"session": "rse_1"})
    assert refusal.value.http_status == 501
    assert refusal.value.error.code == "emulator_not_implemented"


def test_errors_have_no_null_fields(pay: Pay) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        pay(colour="red")
    assert None not in refusal.value.json_body["error"].values()


def test_unknown_urls_are_404_and_unbuilt_ones_501(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        client.raw_request("get", "/v1/moon_phases")
    with pytest.raises(stripe.APIError) as unbuilt:
        client.v1.reviews.list()
    assert unknown.value.http_status == 404
    assert (unbuilt.value.http_status, unbuilt.value.error.code) == (501, "emulator_not_implemented")


def test_an_account_is_a_store_of_its_own(client: stripe.StripeClient, pay: Pay, venue: str) -> None:
    theirs = pay(account=venue, key="same")
    platform = pay(key="same")
    assert theirs.id != platform.id
    with pytest.raises(stripe.InvalidRequestError) as foreign:
        client.v1.payment_intents.retrieve(theirs.id)
    assert (foreign.value.http_status, foreign.value.code) == (404, "resource_missing")
    assert len(client.v1.payment_intents.list(options={"stripe_account": venue}).data) == 1


def test_the_capabilities_page_says_what_it_is(emulator: EmulatorProcess) -> None:
    page = urllib3.request("GET", f"{emulator.base_url}/_emulator/capabilities").json()
    assert page["emulator"] is True
    assert "POST /v1/payment_intents" in page["operations"]
    assert "POST /v1/refunds" not in page["answered_501"]


def test_the_control_api_refuses_without_the_token(emulator: EmulatorProcess) -> None:
    answer = urllib3.request("GET", f"{emulator.control_url}/_control/summary")
    assert answer.status == 401


def test_an_endpoint_has_a_bucket_of_its_own(control: EmulatorControl, pay: Pay, client: stripe.StripeClient) -> None:
    intents = [pay().id for _ in range(3)]
    control.set_limit(None, endpoint_per_second=2)
    for intent in intents[:2]:
        client.v1.payment_intents.retrieve(intent)
    with pytest.raises(stripe.RateLimitError) as refusal:
        client.v1.payment_intents.retrieve(intents[2])
    assert refusal.value.headers["Stripe-Rate-Limited-Reason"] == "endpoint-rate"
    assert client.v1.payment_intents.list().data
    control.set_limit(None)
    assert client.v1.payment_intents.retrieve(intents[2]).id == intents[2]


def test_twenty_five_a_second_of_one_endpoint_are_served(
    control: EmulatorControl, pay: Pay, client: stripe.StripeClient
) -> None:
    intent = pay().id
    control.set_limit(100, endpoint_per_second=25)
    started, refused = time.monotonic(), 0
    for _ in range(60):
        try:
            client.v1.payment_intents.retrieve(intent)
        except stripe.RateLimitError:
            refused += 1
    seconds = time.monotonic() - started
    assert 60 - refused <= 25 + 25 * seconds + 1
    assert 60 - refused >= 25


def test_the_limiter_says_why_and_is_not_stored(control: EmulatorControl, pay: Pay) -> None:
    control.set_limit(1)
    pay(key="first")
    with pytest.raises(stripe.RateLimitError) as refusal:
        pay(key="second")
    assert refusal.value.headers["Stripe-Rate-Limited-Reason"] == "global-rate"
    control.set_limit(None)
    assert pay(key="second").status == "succeeded"
