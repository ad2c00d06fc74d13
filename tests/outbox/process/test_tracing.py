"""Traces cost nothing where nobody asked for them, and refuse an address that would tell them to everybody."""

import subprocess
import sys
from pathlib import Path

import pytest

from messages.runtime import trace
from messages.runtime.settings import SettingsError, load
from outbox.process.tracing import TracingSettings, start_tracing

ROOT = Path(__file__).resolve().parents[3]


def test_without_an_endpoint_no_exporter_is_even_imported() -> None:
    look = (
        "import sys, workers.main, outbox.intake.http; from outbox.process.tracing import start_tracing;"
        "start_tracing('x');"
        "sys.exit(any(name.startswith('opentelemetry.exporter') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", look], cwd=ROOT, env={"APP_ENV": "test"}, check=False).returncode == 0


def test_where_nobody_records_a_span_leaves_no_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    start_tracing("test")

    with trace.following("ab" * 16), trace.span("anything") as span:
        span.note(verdict="done")
        assert (span.span_id, trace.span_of("ab" * 16), trace.current()) == (None, None, "ab" * 16)


def test_what_follows_a_span_of_another_service_names_it() -> None:
    with trace.following("ab" * 16, "cd" * 8):
        assert trace.span_of("ab" * 16) == "cd" * 8
        assert trace.span_of("ef" * 16) is None
        assert trace.traceparent("ab" * 16, trace.span_of("ab" * 16)) == f"00-{'ab' * 16}-{'cd' * 8}-01"


def test_production_sends_traces_over_tls_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")

    with pytest.raises(SettingsError, match="production needs TLS"):
        load(TracingSettings)
