"""What really lands on standard error, of a real process: the shape of a line, and what must never be in one."""

import json
import subprocess
import sys
from typing import Any

import pytest

SECRET = "sk_live_51HabcDEFghiJKL"
CARD = "4242 4242 4242 4242"
MAIL = "jane@example.com"
PLANTED = f"{SECRET} {CARD} {MAIL}"


def run(program: str, app_env: str = "production") -> str:
    """Run the program after configure_logs in a process of its own; returns its standard error."""
    head = (
        "import logging, threading, warnings\n"
        "from loguru import logger\n"
        "from messages.runtime.settings import AppEnv\n"
        "from outbox.process.logs import bound, configure_logs\n"
        f"configure_logs(AppEnv({app_env!r}), 'charges')\n"
        f"PLANTED = {PLANTED!r}\n"
    )
    done = subprocess.run([sys.executable, "-c", head + program], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    return done.stderr


def lines(program: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(program).splitlines()]


def assert_nothing_planted(stderr: str) -> None:
    assert not [secret for secret in (SECRET, CARD, MAIL) if secret in stderr]


def test_a_line_is_one_json_object_with_time_level_process_and_message() -> None:
    (line,) = lines("logger.info('card declined: insufficient funds')")

    assert list(line) == ["time", "level", "process", "logger", "message"]
    assert line["time"].endswith("+00:00")
    assert (line["level"], line["process"], line["message"]) == ("INFO", "charges", "card declined: insufficient funds")


def test_every_line_inside_bound_carries_the_ids_of_its_message() -> None:
    first, library, last = lines(
        "from uuid import UUID\n"
        "with bound(message_id='m-1', payment_id=UUID(int=7), tenant_id='t-1', actor='charge', attempt=2):\n"
        "    with bound(trace_id='4bf92f3577b34da6a3ce929d0e0e4736'):\n"
        "        logger.info('charged')\n"
        "        logging.getLogger('dramatiq').warning('slow: %s s', 3)\n"
        "logger.info('idle')\n"
    )

    ids = ("message_id", "payment_id", "tenant_id", "actor", "attempt", "trace_id")
    expected = ["m-1", "00000000-0000-0000-0000-000000000007", "t-1", "charge", 2, "4bf92f3577b34da6a3ce929d0e0e4736"]
    assert [first[name] for name in ids] == expected
    assert [library[name] for name in ids] == expected
    assert (library["message"], library["logger"]) == ("slow: 3 s", "dramatiq")
    assert not set(ids) & set(last)


@pytest.mark.parametrize("app_env", ["local", "production"])
@pytest.mark.parametrize(
    "program",
    [
        "logger.info('paid with ' + PLANTED)",
        "logger.info('paid with {}', PLANTED)",
        "logger.bind(note=[PLANTED], buyer={'email': PLANTED, 'card': {'number': PLANTED}}).info('paid')",
        "logger.info('paid', buyer=PLANTED)",
        "logging.getLogger('uvicorn.error').error('cannot read %s', PLANTED)",
        "warnings.warn(PLANTED)",
        "with bound(message_id=PLANTED): logger.info('paid')",
    ],
)
def test_no_secret_reaches_a_line(program: str, app_env: str) -> None:
    stderr = run(program, app_env)

    assert "[redacted]" in stderr
    assert_nothing_planted(stderr)


@pytest.mark.parametrize("app_env", ["local", "production"])
@pytest.mark.parametrize("crash", ["logger.exception('failed')", "logging.getLogger('x').exception('failed')", "raise"])
def test_an_exception_shows_its_class_and_traceback_but_no_secret_and_no_local_variable(
    crash: str, app_env: str
) -> None:
    program = (
        "def charge(card):\n"
        "    local = 'a-local-' + 'variable'\n"
        "    try:\n"
        "        raise KeyError(card)\n"
        "    except KeyError as error:\n"
        "        raise RuntimeError(card + local[:0]) from error\n"
        "try:\n"
        "    charge(PLANTED)\n"
        "except RuntimeError:\n"
        f"    {crash}\n"
    )

    stderr = run(program, app_env)

    assert "RuntimeError" in stderr
    assert "KeyError" in stderr
    assert "Traceback" in stderr
    assert "a-local-variable" not in stderr
    assert_nothing_planted(stderr)


def test_an_exception_is_fields_of_its_line() -> None:
    (line,) = lines("try: 1 / 0\nexcept ZeroDivisionError: logger.exception('rate is unknown')")

    assert (line["level"], line["message"], line["error"]) == ("ERROR", "rate is unknown", "ZeroDivisionError")
    assert line["traceback"].endswith("ZeroDivisionError: division by zero\n")


def test_a_crash_of_a_thread_is_logged_like_any_line() -> None:
    (line,) = lines("def fail(): raise ValueError(PLANTED)\nthreading.Thread(target=fail).start()")

    assert (line["level"], line["error"]) == ("CRITICAL", "ValueError")
    assert_nothing_planted(str(line))


def test_when_the_redactor_fails_the_line_still_comes_without_its_text() -> None:
    program = (
        "class Broken:\n"
        "    def __str__(self): raise LookupError(PLANTED)\n"
        "logger.bind(broken=Broken()).error('charging ' + PLANTED)\n"
    )

    stderr = run(program)

    line = json.loads(stderr)
    assert (line["level"], line["process"]) == ("ERROR", "charges")
    assert line["message"] == "a line from __main__:9 was withheld: redacting it failed with LookupError"
    assert_nothing_planted(stderr)


def test_a_library_that_formats_its_line_wrongly_does_not_print_its_arguments() -> None:
    stderr = run("logging.getLogger('stripe').error('%d', PLANTED)")

    assert "formatting it failed with TypeError" in json.loads(stderr)["message"]
    assert_nothing_planted(stderr)


def test_braces_in_a_librarys_line_are_text() -> None:
    (line,) = lines("logging.getLogger('uvicorn').info('{0} {missing} <red>')")

    assert line["message"] == "{0} {missing} <red>"


@pytest.mark.parametrize("name", ["urllib3.connectionpool", "stripe", "psycopg.pool", "uvicorn.access"])
def test_a_talkative_library_is_heard_from_warning_on(name: str) -> None:
    (line,) = lines(f"for level in ('info', 'warning'): getattr(logging.getLogger({name!r}), level)(level)")

    assert line["message"] == "warning"


def test_a_field_cannot_pass_for_the_level_or_the_process() -> None:
    (line,) = lines("logger.bind(level='INFO', process='other').error('failed')")

    assert (line["level"], line["process"]) == ("ERROR", "charges")


def test_a_payload_that_gets_logged_by_mistake_is_cut() -> None:
    (line,) = lines("logger.info('x' * 100_000)")

    assert len(line["message"]) < 5_000
    assert "96000 characters left out" in line["message"]


def test_bytes_that_are_no_text_do_not_lose_the_line() -> None:
    (line,) = lines("logger.info('bad ' + b'\\xff'.decode(errors='surrogateescape'))")

    assert line["message"] == "bad \\udcff"


def test_local_lines_are_readable_and_have_no_colour_without_a_terminal() -> None:
    stderr = run("with bound(payment_id='p-1'): logger.warning('card declined')", app_env="local")

    assert stderr.endswith("WARNING  charges  card declined  payment_id=p-1\n")
    assert "\x1b" not in stderr
