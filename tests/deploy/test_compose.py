"""The compose file, read by Docker Compose itself (it needs no engine to check a file), against the Procfile."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from honcho.environ import parse_procfile

from deploy import compose_secrets
from deploy.broker_users import broker_users
from deploy.compose_secrets import Drawer
from messages.queue_classes import longest_run_seconds, queue_classes
from tests.conftest import ROOT
from tests.deploy.manifests import of_kind, pod_of
from tests.deploy.scraping import scrape_jobs

PROCFILE = parse_procfile((ROOT / "Procfile").read_text()).processes
OURS = "payment-fleet"
ISSUERS = {"API_JWT_ISSUER": "https://i", "CONSOLE_JWT_ISSUER": "https://i"}


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """As Compose understands it: anchors, defaults and images resolved, its schema obeyed. What it needs beside the
    lock is in the file that our own command makes, as shipping.md says."""
    drawer = Drawer(tmp_path_factory.mktemp("compose") / "secrets")
    compose_secrets.make(drawer, "sk_test_x", "whsec_x", ISSUERS)
    program = Path(sys.executable).with_name("docker-compose")
    files = ["--env-file", "deploy/images.lock", "--env-file", str(drawer.directory / "public.env")]
    files += ["-f", "deploy/compose.yaml"]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    read = subprocess.run(
        [program, *files, "config", "--format", "json"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert read.returncode == 0, read.stderr
    found: dict[str, Any] = json.loads(read.stdout)
    return found


def ours(compose: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in compose["services"].items() if each["image"].startswith(f"{OURS}:")}


def test_the_processes_are_those_of_the_procfile_with_one_for_each_class_of_queues(compose: dict[str, Any]) -> None:
    expected = {name: line for name, line in PROCFILE.items() if name != "workers"}
    expected |= {
        f"workers-{name}": f"python -m workers.main --processes 1 --threads 8 --queue-class {name}"
        for name in queue_classes()
    }

    started = {name: shlex.join(each["command"]) for name, each in ours(compose).items() if name != "migrations"}

    assert started == expected


def test_every_service_is_hardened_and_pinned(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service["user"].startswith("0"), name
        assert "latest" not in service["image"], name
        assert ":" in service["image"], name


def test_our_processes_wait_for_the_migrations_and_these_for_the_roles(compose: dict[str, Any]) -> None:
    for name, service in ours(compose).items():
        if name != "migrations":
            assert service["depends_on"]["migrations"]["condition"] == "service_completed_successfully", name
    assert compose["services"]["migrations"]["depends_on"]["roles"]["condition"] == "service_completed_successfully"


def test_only_workers_hold_the_stripe_key_and_only_they_have_a_way_out(compose: dict[str, Any]) -> None:
    assert compose["networks"]["inside"]["internal"] is True
    for name, service in ours(compose).items():
        holds = any(secret["source"] == "stripe_secret_key" for secret in service.get("secrets", []))
        assert holds is name.startswith("workers-"), name
        assert ("stripe" in service["networks"]) is name.startswith("workers-"), name


def test_what_is_published_is_published_on_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]

    assert ports
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_a_worker_may_finish_its_longest_run(compose: dict[str, Any]) -> None:
    grace = {name: each["stop_grace_period"] for name, each in ours(compose).items() if name.startswith("workers-")}

    assert set(grace.values()) == {"4m0s"}
    assert max(longest_run_seconds(name) for name in queue_classes()) + 30 <= 240


def test_no_secret_is_a_variable(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable in service.get("environment") or {}:
            secret = any(word in variable for word in ("SECRET", "PASSWORD", "PRIVATE", "_URL", "PASS"))
            assert not secret or variable.endswith(("_FILE", "PGPASSFILE")), f"{name}: {variable}"


def test_the_secrets_that_compose_mounts_are_those_that_the_command_makes(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    drawer = Drawer(tmp_path / "secrets")
    before = os.umask(0o077)
    try:
        compose_secrets.make(drawer, "sk_test_x", "whsec_x", ISSUERS)
    finally:
        os.umask(before)
    made = {path.name for path in drawer.directory.iterdir()}

    mounted = {Path(secret["file"]).name for secret in compose["secrets"].values()}

    assert mounted - made == {
        *("api_jwt_public_key", "console_jwt_public_key", "pagerduty_routing_key", "slack_api_url")
    }, "those that the operator brings"
    assert drawer.directory.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o004 for path in drawer.directory.iterdir()), "10001, 999 and 65534 read them"


def test_a_second_run_keeps_what_is_there_and_every_user_has_an_address_of_its_own(tmp_path: Path) -> None:
    drawer = Drawer(tmp_path / "secrets")
    compose_secrets.make(drawer, "sk_test_x", "whsec_x", ISSUERS)
    before = {path.name: path.read_text() for path in drawer.directory.iterdir()}

    compose_secrets.make(drawer, "sk_test_other", "whsec_other", ISSUERS)

    assert {path.name: path.read_text() for path in drawer.directory.iterdir()} == before
    for user in broker_users():
        assert before[f"rabbitmq_{user.name.removeprefix('fleet_')}"].startswith(f"amqp://{user.name}:")


def test_the_verifiers_made_without_a_server_open_the_door_of_a_real_one(tmp_path: Path, stack: Any) -> None:
    drawer = Drawer(tmp_path / "secrets")
    compose_secrets.make(drawer, "sk_test_x", "whsec_x", ISSUERS)
    role, verifier = next(
        line.split() for line in (drawer.directory / "database_logins").read_text().splitlines() if "relay" in line
    )
    with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:
        superuser.execute(f"ALTER ROLE {role} PASSWORD '{verifier}'")  # type: ignore[call-overload]
    url = (drawer.directory / "database_relay").read_text()

    with psycopg.connect(url.replace("@postgres:5432", f"@127.0.0.1:{stack.postgres.port}")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("fleet_relay",)


def test_prometheus_looks_every_replica_of_every_process_up_by_its_name(compose: dict[str, Any]) -> None:
    """A fixed target of a service with two replicas is answered by another one at each scrape."""
    jobs = scrape_jobs("prometheus.yaml")
    processes = [name for name in ours(compose) if name != "migrations"]

    assert set(jobs) == set(processes)
    for name, job in jobs.items():
        assert set(job) == {"job_name", "dns_sd_configs"}, name
        (lookup,) = job["dns_sd_configs"]
        port = int(compose["services"][name]["environment"]["HEALTH_PORT"])
        assert (lookup["names"], lookup["type"], lookup["port"]) == ([name], "A", port), name
        shared = compose["services"][name]["networks"].keys() & compose["services"]["prometheus"]["networks"].keys()
        assert shared == {"inside"}, name


def test_everybody_may_read_what_is_mounted_into_it(compose: dict[str, Any]) -> None:
    """A bind mount shows the file as it lies on the host, to a user that does not own it."""
    mounts = [mount for each in compose["services"].values() for mount in each.get("volumes", [])]
    sources = [Path(mount["source"]) for mount in mounts if mount["type"] == "bind"]
    sources += [Path(config["file"]) for config in compose["configs"].values()]

    assert len(sources) >= 6
    for source in sources:
        for path in [source, *source.rglob("*")]:
            assert path.stat().st_mode & 0o004, path


def test_a_process_is_given_the_same_files_of_secrets_by_compose_and_in_a_cluster(compose: dict[str, Any]) -> None:
    """Two places name them; a cache forgotten in one is a scale signal that is missing there."""
    for name, deployment in of_kind("Deployment").items():
        (container,) = pod_of(deployment)["containers"]
        there = {variable["name"] for variable in container["env"] if variable["name"].endswith("_FILE")}
        here = {variable for variable in compose["services"][name]["environment"] if variable.endswith("_FILE")}
        spared = {"REDIS_URL_FILE"} if name in {"relay", "minter"} else set()  # they have no use for a cache

        assert there == here - spared, name
