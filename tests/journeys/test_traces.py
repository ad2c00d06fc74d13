"""One payment is one trace, from the order event to the webhook, over all processes: read from a real OTLP receiver."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.local.stack import Stack
from tests.journeys.fleet import Fleet

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ORDER_SPAN = TRACE[:16]


@dataclass(frozen=True)
class Seen:
    process: str
    name: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]


@dataclass
class Receiver:
    """What an OpenTelemetry collector would have got, by trace id."""

    endpoint: str = ""
    spans: dict[str, list[Seen]] = field(default_factory=dict)

    def take(self, body: bytes) -> None:
        for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {pair.key: pair.value.string_value for pair in of_process.resource.attributes}
            for scope in of_process.scope_spans:
                for span in scope.spans:
                    attributes = {pair.key: pair.value.string_value for pair in span.attributes}
                    seen = Seen(
                        named["service.name"], span.name, span.span_id.hex(), span.parent_span_id.hex(), attributes
                    )
                    self.spans.setdefault(span.trace_id.hex(), []).append(seen)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, daemon=True).start()
    yield receiver
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def traced(
    stack: Stack, template: str, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> Iterator[Fleet]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with Fleet.of(stack, template, tmp_path_factory.mktemp("fleet"), settings) as fleet:
        yield fleet


def test_one_payment_is_one_trace_over_all_processes(traced: Fleet, receiver: Receiver) -> None:
    wanted = {
        ("intake-orders", "accept order"),
        ("relay", "publish charges"),
        ("worker", "run charge"),
        ("worker", "stripe payment_intents"),
        ("relay", "publish payments"),  # the fact for other services
        ("intake-http", "receive event"),
    }
    traced.publish(traced.order(trace_id=TRACE), traced.order())
    traced.wait_until_quiet()

    def seen() -> set[tuple[str, str]]:
        return {(span.process, span.name) for span in receiver.spans.get(TRACE, [])}

    traced.wait_until(lambda: wanted <= seen(), f"spans {wanted} in one trace", timeout=20)

    spans = {(span.process, span.name): span for span in receiver.spans[TRACE]}
    accepted, charged = spans["intake-orders", "accept order"], spans["worker", "run charge"]
    assert accepted.parent_id == ORDER_SPAN  # the order service's own span
    assert spans["relay", "publish charges"].parent_id == accepted.span_id
    assert charged.parent_id == accepted.span_id
    asked = [span for span in receiver.spans[TRACE] if span.name == "stripe payment_intents"]
    assert charged.span_id in {span.parent_id for span in asked}  # the webhook's own look is another
    assert charged.attributes["fleet.verdict"] == "done"
    assert sum(name == "run charge" for _, name in [(each.process, each.name) for each in receiver.spans[TRACE]]) == 1
    assert len(receiver.spans) >= 2  # the other order has a trace of its own


def test_no_span_carries_what_must_not_leave(traced: Fleet, receiver: Receiver) -> None:
    traced.publish(traced.order(payment_method_id="pm_card_chargeDeclined"))
    traced.wait_until_quiet()
    traced.wait_until(
        lambda: any(span.name == "run charge" for all_ in receiver.spans.values() for span in all_), "spans"
    )
    words = {
        value for spans in receiver.spans.values() for span in spans for value in (span.name, *span.attributes.values())
    }

    assert not [word for word in words if "sk_test" in word or "whsec" in word or "pm_card" in word or "buyer" in word]
