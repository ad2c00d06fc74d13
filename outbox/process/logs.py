"""One line per decision, on standard error: JSON in staging and production, readable text elsewhere.

A record passes: loguru or the standard logging module -> `_redact_record` -> one sink. The redactor is in front of
every sink, so nothing unredacted reaches one, not even loguru's own error report. When the redactor itself fails, the
line is still written, without its text. No payload belongs in a log; a text longer than a page is cut.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from loguru import logger

from messages.runtime.redaction import redact_text, redact_value
from messages.runtime.settings import AppEnv

if TYPE_CHECKING:
    from loguru import Message, Record

# A log line is no place for a payload: what is longer than this is one.
LONGEST_TEXT = 4_000
LONGEST_TRACEBACK = 16_000

# The stripe library writes whole request bodies at DEBUG and one line per call at INFO, pika its frames and
# fifteen errors for each refused connection; uvicorn's access log names the caller's address. Our own lines and
# metrics say what is worth saying.
_LEVELS = {
    "pika": logging.CRITICAL,
    "urllib3": logging.WARNING,
    "stripe": logging.WARNING,
    "psycopg": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "asyncio": logging.WARNING,
    "uvicorn.access": logging.WARNING,
    "uvicorn": logging.INFO,
    "dramatiq": logging.INFO,
}

_COLOURS = {"DEBUG": "\x1b[2m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
_NO_COLOUR = "\x1b[0m"

_Sink = Callable[["Message"], None]


def configure_logs(app_env: AppEnv, process: str) -> None:
    """Send all logs of this process one way; `process` is its name in the Procfile. Call it once, before any work.

    It replaces loguru's sinks, the handlers of all loggers that exist so far, and the hooks for uncaught exceptions.
    Start uvicorn with `log_config=None`, or it takes its own loggers out again.
    """
    deployed = app_env in (AppEnv.STAGING, AppEnv.PRODUCTION)
    sink = _json_sink(process) if deployed else _readable_sink(process)
    level = logging.INFO if deployed else logging.DEBUG
    logger.remove()
    logger.configure(patcher=_redact_record)
    logger.add(sink, level=level, format="", backtrace=False, diagnose=False)
    _take_over_standard_logging()
    _take_over_crashes()


@contextmanager
def bound(
    *,
    message_id: UUID | str | None = None,
    payment_id: UUID | str | None = None,
    tenant_id: UUID | str | None = None,
    actor: str | None = None,
    attempt: int | None = None,
    trace_id: str | None = None,
) -> Iterator[None]:
    """Every line inside, also of libraries in this thread or task, carries these fields; None leaves one as it was."""
    fields = {
        "message_id": message_id,
        "payment_id": payment_id,
        "tenant_id": tenant_id,
        "actor": actor,
        "attempt": attempt,
        "trace_id": trace_id,
    }
    with logger.contextualize(**{name: value for name, value in fields.items() if value is not None}):
        yield


def _redact_record(record: "Record") -> None:
    """Make everything that a line can show safe, in place; the exception becomes two texts, so no sink formats it."""
    try:
        fields: dict[str, Any] = redact_value(record["extra"])  # type: ignore[assignment]  # a dict stays a dict
        if record["exception"] is not None:
            fields.update(_told(record["exception"].value))
        record["message"] = _cut(redact_text(record["message"]), LONGEST_TEXT)
    except Exception as failure:  # noqa: BLE001  whatever it was, this line must come, and must not come unredacted
        fields = {}
        where = f"{record['name']}:{record['line']}"
        record["message"] = f"a line from {where} was withheld: redacting it failed with {type(failure).__name__}"
    record["exception"] = None
    record["extra"] = fields


def _told(error: BaseException | None) -> dict[str, str]:
    """The class, and the traceback with its causes but without any local variable."""
    if error is None:
        return {}
    lines = "".join(traceback.TracebackException.from_exception(error).format())
    return {"error": type(error).__name__, "traceback": _cut(redact_text(lines), LONGEST_TRACEBACK)}


def _cut(text: str, longest: int) -> str:
    """Keep both ends: a line begins with what happened, a traceback ends with it."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} ... {len(text) - longest} characters left out ... {text[-half:]}"


def _json_sink(process: str) -> _Sink:
    """One JSON object a line. A field named like one of the head's (time, level, ...) does not replace it."""

    def write(message: "Message") -> None:
        record = message.record
        head = {
            "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
            "level": record["level"].name,
            "process": process,
            "logger": record["name"],
            "message": record["message"],
        }
        # A field named like one of ours must not pass for it; the order of the head stays.
        _write(_as_json({**head, **record["extra"], **head}))

    return write


def _as_json(line: dict[str, Any]) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:  # bytes that were no text (a lone surrogate), or a number beyond 64 bits
        texts = {name: str(value).encode("ascii", "backslashreplace").decode() for name, value in line.items()}
        return orjson.dumps(texts).decode()


def _readable_sink(process: str) -> _Sink:
    """Local time to the millisecond, level, process, text, then the fields; in colour on a terminal."""
    in_colour = getattr(sys.stderr, "isatty", lambda: False)()

    def write(message: "Message") -> None:
        record = message.record
        fields = dict(record["extra"])
        told = fields.pop("traceback", "")
        head = f"{record['time']:%H:%M:%S.%f}"[:12] + f" {record['level'].name:<8} {process}  {record['message']}"
        tail = "".join(f"  {name}={value}" for name, value in fields.items())
        line = f"{head}{tail}" + (f"\n{told.rstrip()}" if told else "")
        colour = _COLOURS.get(record["level"].name, "") if in_colour else ""
        _write(f"{colour}{line}{_NO_COLOUR}" if colour else line)

    return write


def _write(line: str) -> None:
    """Write to the standard error of this moment, because dramatiq replaces it in its workers after the start.

    A closed pipe or full disk must not stop a payment, and there is nowhere left to report it.
    """
    with suppress(OSError, ValueError):
        sys.stderr.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
        sys.stderr.flush()


class _Intercept(logging.Handler):
    """Passes the records of libraries to loguru, with the logger and the line they came from."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception as failure:  # noqa: BLE001  the standard handler would print the arguments, unredacted
            text = f"a line was withheld: formatting it failed with {type(failure).__name__}"
        logger.patch(_as_said_by(record)).opt(exception=record.exc_info).log(_level_of(record), text)


def _as_said_by(source: logging.LogRecord) -> Callable[["Record"], None]:
    def patch(record: "Record") -> None:
        record["name"], record["line"] = source.name, source.lineno

    return patch


def _level_of(record: logging.LogRecord) -> str | int:
    try:
        return logger.level(record.levelname).name
    except ValueError:  # a level of the library's own
        return record.levelno


def _take_over_standard_logging() -> None:
    """Route every standard logger through loguru, also those that libraries made at import with handlers of
    their own.
    """
    logging.basicConfig(handlers=[_Intercept()], level=logging.INFO, force=True)
    logging.captureWarnings(capture=True)
    for name in list(logging.root.manager.loggerDict):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)


def _take_over_crashes() -> None:
    """An uncaught exception would be printed by Python itself, with everything its text holds."""
    sys.excepthook = _log_crash
    threading.excepthook = lambda crash: _log_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)


def _log_crash(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.opt(exception=error).critical(f"the process or one of its threads stopped on {kind.__name__}")
