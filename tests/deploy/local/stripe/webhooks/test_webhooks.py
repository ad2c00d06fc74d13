"""Deliveries: signed over the exact bytes, repeated until 2xx, and disturbed on order."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]


@dataclass
class Receiver:
    """A webhook receiver that answers as told and keeps what came."""

    statuses: list[int] = field(default_factory=list)
    came: list[tuple[bytes, str]] = field(default_factory=list)
    url: str = ""

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for body, _ in self.came]

    def wait_for(self, number: int) -> None:
        deadline = time.monotonic() + 5
        while len(self.came) < number:
            assert time.monotonic() < deadline, f"only {len(self.came)} of {number} deliveries came"
            time.sleep(0.01)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiving = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiving.came.append((body, self.headers["Stripe-Signature"]))
            self.send_response(receiving.statuses.pop(0) if receiving.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    receiving.url = f"http://127.0.0.1:{server.server_port}/webhooks"
    yield receiving
    server.shutdown()
    server.server_close()


def _endpoint(client: stripe.StripeClient, url: str, *events: str, **more: object) -> stripe.WebhookEndpoint:
    given = {"url": url, "enabled_events": list(events) or ["*"]} | more
    return client.v1.webhook_endpoints.create(params=given)


def test_a_delivery_is_signed_over_its_bytes(client: stripe.StripeClient, pay: Pay, receiver: Receiver) -> None:
    endpoint = _endpoint(client, receiver.url, "payment_intent.succeeded")
    intent = pay()
    receiver.wait_for(1)
    body, signature = receiver.came[0]
    event = stripe.Webhook.construct_event(body, signature, str(endpoint.secret))
    assert (event.type, event.data.object["id"]) == ("payment_intent.succeeded", intent.id)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", signature, str(endpoint.secret))


def test_a_secret_is_shown_once(client: stripe.StripeClient, receiver: Receiver) -> None:
    made = _endpoint(client, receiver.url)
    again = client.v1.webhook_endpoints.retrieve(made.id)
    assert str(made.secret).startswith("whsec_")
    assert "secret" not in again
    assert client.v1.webhook_endpoints.delete(made.id).deleted is True
    assert client.v1.webhook_endpoints.list().data == []


@pytest.mark.parametrize("status", [500, 302, 404])
def test_anything_but_2xx_is_tried_again(
    client: stripe.StripeClient, pay: Pay, receiver: Receiver, control: EmulatorControl, status: int
) -> None:
    _endpoint(client, receiver.url, "payment_intent.succeeded")
    receiver.statuses = [status]
    pay()
    receiver.wait_for(1)
    assert client.v1.events.list(params={"delivery_success": False}).data[0].pending_webhooks == 1
    receiver.wait_for(2)
    _until(lambda: not client.v1.events.list(params={"delivery_success": False}).data)
    assert [attempt["status"] for attempt in control.attempts()] == [status, 200]
    assert control.deliveries()[0]["state"] == "succeeded"


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def test_while_a_secret_is_rolled_both_are_good(
    client: stripe.StripeClient, pay: Pay, receiver: Receiver, control: EmulatorControl
) -> None:
    endpoint = _endpoint(client, receiver.url, "payment_intent.succeeded")
    new = control.roll_webhook_secret(endpoint.id)
    pay()
    receiver.wait_for(1)
    body, signature = receiver.came[0]
    for secret in (str(endpoint.secret), new):
        assert stripe.Webhook.construct_event(body, signature, secret)


def test_tries_run_out(client: stripe.StripeClient, pay: Pay, control: EmulatorControl) -> None:
    _endpoint(client, "http://127.0.0.1:1/nobody", "payment_intent.succeeded")
    pay()
    _until(lambda: control.deliveries()[0]["state"] == "failed")
    assert len(control.attempts()) == 4
    assert client.v1.events.list(params={"delivery_success": False}).data[0].type == "payment_intent.succeeded"


def test_a_reset_forgets_what_was_still_to_be_delivered(
    client: stripe.StripeClient, pay: Pay, receiver: Receiver, control: EmulatorControl
) -> None:
    _endpoint(client, "http://127.0.0.1:1/nobody", "payment_intent.succeeded")
    pay()
    _until(lambda: len(control.attempts()) == 1)
    control.reset()
    _endpoint(client, receiver.url, "payment_intent.succeeded")
    pay()
    time.sleep(0.5)
    assert len(receiver.came) == 1, "the old retry would have sent the new delivery a second time"


def test_a_disabled_endpoint_gets_nothing(client: stripe.StripeClient, pay: Pay, control: EmulatorControl) -> None:
    endpoint = _endpoint(client, "http://127.0.0.1:1/nobody")
    client.v1.webhook_endpoints.update(endpoint.id, params={"disabled": True})
    pay()
    assert control.deliveries() == []


def test_a_connect_endpoint_gets_the_events_of_accounts(
    client: stripe.StripeClient, pay: Pay, receiver: Receiver, venue: str
) -> None:
    _endpoint(client, receiver.url, "payment_intent.succeeded", connect=True)
    pay()
    pay(account=venue)
    receiver.wait_for(1)
    assert json.loads(receiver.came[0][0])["account"] == venue


def test_a_transfer_is_told_on_its_two_sides_with_two_secrets(
    client: stripe.StripeClient, control: EmulatorControl, receiver: Receiver, venue: str
) -> None:
    ours = _endpoint(client, receiver.url, "transfer.*", "transfer.created", "payout.created")
    theirs = _endpoint(client, receiver.url, "payment.created", "payout.created", connect=True)
    control.adjust_balance(1000)
    client.v1.transfers.create(params={"amount": 400, "currency": "usd", "destination": venue})
    control.pay_out(venue)
    receiver.wait_for(3)
    told = {}
    for body, signature in receiver.came:
        for endpoint in (ours, theirs):
            with contextlib.suppress(stripe.SignatureVerificationError):
                event = stripe.Webhook.construct_event(body, signature, str(endpoint.secret))
                told[event.type] = (endpoint.id, getattr(event, "account", None))
    assert told == {
        "transfer.created": (ours.id, None),
        "payment.created": (theirs.id, venue),
        "payout.created": (theirs.id, venue),
    }


def test_a_duplicate_has_the_same_id_and_a_twin_another(
    client: stripe.StripeClient, pay: Pay, receiver: Receiver, control: EmulatorControl
) -> None:
    _endpoint(client, receiver.url, "payment_intent.succeeded")
    control.add_fault("webhook_duplicate", event_type="payment_intent.succeeded", copies=5, max_firings=1)
    pay()
    receiver.wait_for(5)
    assert len({body for body, _ in receiver.came}) == 1
    control.add_fault("webhook_twin", event_type="payment_intent.succeeded")
    pay()
    receiver.wait_for(7)
    twins = [json.loads(body) for body, _ in receiver.came[5:]]
    assert twins[0]["id"] != twins[1]["id"]
    assert twins[0]["data"] == twins[1]["data"]


def test_a_dropped_event_is_only_in_the_list(
    client: stripe.StripeClient, pay: Pay, receiver: Receiver, control: EmulatorControl
) -> None:
    _endpoint(client, receiver.url, "payment_intent.*", "payment_intent.succeeded", "payment_intent.created")
    control.add_fault("webhook_drop", event_type="payment_intent.succeeded")
    pay()
    receiver.wait_for(1)
    _until(lambda: {row["state"] for row in control.deliveries()} == {"succeeded", "dropped"})
    missed = client.v1.events.list(params={"delivery_success": False}).data
    assert [event.type for event in missed] == ["payment_intent.succeeded"]


@pytest.mark.parametrize(("effect", "tolerance"), [("webhook_wrong_signature", None), ("webhook_old_timestamp", 300)])
def test_a_bad_signature_is_sent_once_and_then_a_good_one(
    client: stripe.StripeClient,
    pay: Pay,
    receiver: Receiver,
    control: EmulatorControl,
    effect: str,
    tolerance: int | None,
) -> None:
    secret = str(_endpoint(client, receiver.url, "payment_intent.succeeded").secret)
    control.add_fault(effect)
    receiver.statuses = [400]
    pay()
    receiver.wait_for(2)
    (bad, bad_signature), (good, good_signature) = receiver.came
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(bad, bad_signature, secret, tolerance=tolerance)
    assert stripe.Webhook.construct_event(good, good_signature, secret)


def test_deliveries_can_be_late_and_out_of_order(
    client: stripe.StripeClient, pay: Pay, receiver: Receiver, control: EmulatorControl
) -> None:
    _endpoint(client, receiver.url, "payment_intent.created", "payment_intent.succeeded")
    control.add_fault("webhook_delay", event_type="payment_intent.created", seconds=0.3)
    control.add_fault("webhook_shuffle", event_type="payment_intent.succeeded", seconds=0.1)
    pay()
    receiver.wait_for(2)
    assert receiver.types() == ["payment_intent.succeeded", "payment_intent.created"]
    assert {firing["effect"] for firing in control.firings()} == {"webhook_delay", "webhook_shuffle"}
