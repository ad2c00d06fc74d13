"""OpenTelemetry: one trace per payment, from the order event to the webhook, across outbox, broker and Stripe.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set: no exporter is even imported then (redis-py imports the API and SDK by
itself). The ids are ours (messages/runtime/trace.py); the SDK batches the spans and sends them by OTLP over HTTP from a
thread of its own. Its further variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_BSP_...) are the SDK's;
of its samplers use traceidratio, by which all processes keep the same traces. A span names what was done and for which
ids, and of an error only its class: texts may hold what must not leave (M9).
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson
from loguru import logger
from pydantic import Field, SecretStr, model_validator

from db.queue.outbox import DueRow
from messages.runtime import trace
from messages.runtime.settings import (
    FleetSettings,
    SettingsError,
    load,
    require_address,
    require_tls_of,
    stop_the_start,
)
from messages.runtime.trace import TraceContext

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.trace import Span as SdkSpan
    from opentelemetry.trace import StatusCode, Tracer

FLUSH_SECONDS = 5.0


class TracingSettings(FleetSettings):
    """OpenTelemetry traces; deploy/docs/tracing.md shows one."""

    otel_exporter_otlp_endpoint: SecretStr | None = Field(
        default=None, description="OTLP collector for traces, http(s)://collector:4318; unset, no traces are recorded"
    )

    @model_validator(mode="after")
    def _an_address(self) -> "TracingSettings":
        if self.otel_exporter_otlp_endpoint is not None:
            require_address(self.otel_exporter_otlp_endpoint.get_secret_value(), ("http", "https"))
            if self.in_production:
                require_tls_of("OTEL_EXPORTER_OTLP_ENDPOINT", self.otel_exporter_otlp_endpoint, "https")
        return self


_provider: "TracerProvider | None" = None


def start_tracing(process: str) -> None:
    """Record from now on, where an endpoint is set. Call it after a fork: the exporter has a thread.

    Raises:
        SystemExit: the endpoint is not valid (exit code 78).
    """
    global _provider  # noqa: PLW0603  one per process, like the log
    try:
        (settings,) = load(TracingSettings)
    except SettingsError as error:
        stop_the_start(error)
    if settings.otel_exporter_otlp_endpoint is None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  only when on
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource.create(
        {"service.name": process, "service.namespace": "payment-fleet", "process.pid": os.getpid()}
    )
    _provider = TracerProvider(resource=resource, id_generator=_our_ids())
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.record_with(_Recorder(_provider.get_tracer("payment-fleet")))
    logger.info("trace export started for {}", process)


def flush() -> None:
    """Send the spans that are left, within FLUSH_SECONDS, for processes that end without Python's own exit (forks of
    multiprocessing). Without tracing, do nothing.
    """
    if _provider is not None:
        _provider.force_flush(int(FLUSH_SECONDS * 1000))


def record_published(rows: Sequence[DueRow], began_ns: int) -> None:
    """A span for each row of a batch that the broker confirmed, as the child of the span that appended it.

    All spans of a batch start at `began_ns` (nanoseconds since 1970) and end now: confirms are not timed one by one.
    Without tracing, do nothing, and parse no body.
    """
    recorder = trace._recorder
    if not isinstance(recorder, _Recorder):
        return
    for row in rows:
        place = _place_of(row.body)
        if place is not None:
            recorder.past(f"publish {row.exchange or row.routing_key}", place, began_ns, str(row.message_id))


def _place_of(body: bytes) -> TraceContext | None:
    """Trace and span in a wire body: our options, or the `traceparent` of a CloudEvent; None where it has neither."""
    fields = orjson.loads(body)
    options = fields.get("options") or {}
    if "trace_id" in options:
        return TraceContext(options["trace_id"], options.get("span_id"))
    header = fields.get("traceparent")
    return TraceContext(header.split("-")[1], trace.parent_in(header)) if header else None


class _Recorder:
    """Implements messages.runtime.trace.Recorder with the OpenTelemetry SDK. An exception marks the span as failed."""

    def __init__(self, tracer: "Tracer") -> None:
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415  only when on

        self._tracer = tracer
        self._kinds = {kind.name.lower(): kind for kind in SpanKind}
        self._error = StatusCode.ERROR

    @contextmanager
    def span(
        self, name: str, kind: str, place: TraceContext, attributes: trace.Attributes, began_ns: int | None = None
    ) -> Iterator[trace.Span]:
        with trace.following(place.trace_id):  # where the ids of a trace without a span come from
            made = self._tracer.start_span(
                name,
                context=_context(place),
                kind=self._kinds[kind],
                attributes=_named(attributes),
                start_time=began_ns,
            )
        ours = _Made(made, self._error)
        try:
            yield ours
        except BaseException as error:
            ours.fail(type(error).__name__)
            raise
        finally:
            made.end()

    def past(self, name: str, place: TraceContext, began_ns: int, message_id: str) -> None:
        with trace.following(place.trace_id):
            made = self._tracer.start_span(
                name,
                context=_context(place),
                kind=self._kinds["producer"],
                start_time=began_ns,
                attributes={"messaging.system": "rabbitmq", "messaging.message.id": message_id},
            )
        made.end(time.time_ns())


class _Made:
    """A span of the SDK behind the small protocol that actors see. Attributes get the prefix `fleet.`."""

    def __init__(self, made: "SdkSpan", error: "StatusCode") -> None:
        self._made = made
        self._error = error

    @property
    def span_id(self) -> str | None:
        return f"{self._made.get_span_context().span_id:016x}"

    def note(self, **attributes: str | int | bool) -> None:
        self._made.set_attributes(_named(attributes))

    def fail(self, word: str) -> None:
        self._made.set_status(self._error, word)


def _named(attributes: trace.Attributes) -> dict[str, str | int | bool]:
    return {f"fleet.{name}": value for name, value in attributes.items()}


def _context(place: TraceContext) -> "Context":
    """The parent of a new span; without a span id an empty context, so that it becomes the first span of its trace."""
    from opentelemetry.context import Context  # noqa: PLC0415  only when on
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context  # noqa: PLC0415

    if place.span_id is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED)
    parent = SpanContext(int(place.trace_id, 16), int(place.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _our_ids() -> "IdGenerator":
    """A span that is the first of its trace gets the trace id that the work has already."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415  only when on

    class OurIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return int(trace.current(), 16)

    return OurIds()
