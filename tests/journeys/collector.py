"""A local receiver of OTLP over HTTP: what an OpenTelemetry collector would have got, by trace id."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

# Uncompressed, and at once.
SETTINGS = {"OTEL_EXPORTER_OTLP_COMPRESSION": "none", "OTEL_BSP_SCHEDULE_DELAY": "100"}


@dataclass(frozen=True)
class Seen:
    process: str
    name: str
    span_id: str
    parent_id: str
    began_ns: int
    ended_ns: int
    error: str | None  # what its status says, when it is one
    attributes: dict[str, str]

    @classmethod
    def of(cls, process: str, span: WireSpan) -> "Seen":
        failed = span.status.code == Status.STATUS_CODE_ERROR
        return cls(
            process,
            span.name,
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.message if failed else None,
            {pair.key: pair.value.string_value or str(pair.value.int_value) for pair in span.attributes},
        )


@dataclass
class Receiver:
    endpoint: str
    spans: dict[str, list[Seen]] = field(default_factory=dict)

    def take(self, body: bytes) -> None:
        for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {pair.key: pair.value.string_value for pair in of_process.resource.attributes}
            for span in (span for scope in of_process.scope_spans for span in scope.spans):
                self.spans.setdefault(span.trace_id.hex(), []).append(Seen.of(named["service.name"], span))

    def of(self, trace_id: str) -> list[Seen]:
        return list(self.spans.get(trace_id, []))

    def words(self) -> set[str]:
        """All that any span says."""
        said = [span for spans in list(self.spans.values()) for span in list(spans)]
        return {word for span in said for word in (span.name, span.error or "", *span.attributes.values())}


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a port of its own."""

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
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
    Thread(target=server.serve_forever, daemon=True).start()
    yield receiver
    server.shutdown()
    server.server_close()


def tree(spans: list[Seen], root: str) -> list[str]:
    """One line a span, below its parent and in the order of their beginnings; what hangs in the air is not in it."""
    first = min((span.began_ns for span in spans), default=0)

    def below(parent: str, depth: int) -> Iterator[str]:
        for span in sorted((each for each in spans if each.parent_id == parent), key=lambda each: each.began_ns):
            failed = f"  FAILED: {span.error}" if span.error is not None else ""
            began, took = (span.began_ns - first) / 1e6, (span.ended_ns - span.began_ns) / 1e6
            yield f"{began:7.0f} ms {took:6.0f} ms  {'  ' * depth}{span.process}: {span.name}{failed}"
            yield from below(span.span_id, depth + 1)

    return list(below(root, 0))
