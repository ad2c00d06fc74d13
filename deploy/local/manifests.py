"""`make manifests`: everything that runs the fleet elsewhere, held to the schemas and tools of those who will read it.

No engine and no cluster is needed. Each line says what was checked, or that it could not be and why; the exit code is 1
when a check failed. What must still be filled in before a cluster gets it is named at the end.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from deploy import operator_rules

ROOT = Path(__file__).resolve().parents[2]
DEPLOY, SCHEMAS = ROOT / "deploy", ROOT / "tests" / "deploy"
OVERLAYS = ("staging", "production")
KUBERNETES_VERSIONS = ("1.30", "1.37.0")  # the oldest and the newest that schemas are at hand for
COMPOSE_NEEDS = {"DEAD_LETTER_PUBLIC_KEY": "x", "API_JWT_ISSUER": "https://i", "CONSOLE_JWT_ISSUER": "https://i"}


class NotCheckedError(Exception):
    """Something that the check needs is not on this machine."""


class WrongError(Exception):
    """The check found something."""


def main() -> int:
    failed = 0
    for name, check in checks():
        try:
            said = check()
        except NotCheckedError as error:
            print(f"not checked  {name}: {error}")
        except WrongError as error:
            failed += 1
            print(f"WRONG        {name}\n{error}")
        else:
            print(f"ok           {name}{f': {said}' if said else ''}")
    for overlay in OVERLAYS:
        for place in unfilled(overlay):
            print(f"fill in      {place}")
    return 1 if failed else 0


def checks() -> Iterator[tuple[str, Callable[[], str]]]:
    yield "Dockerfile, by hadolint", lambda: run(["hadolint", DEPLOY / "Dockerfile"])
    yield "compose.yaml, by Docker Compose", compose
    yield "files that compose mounts may be read by everybody", mounted
    for overlay in OVERLAYS:
        yield f"overlay {overlay}, by Kubernetes' and KEDA's schemas", lambda overlay=overlay: cluster(overlay)  # type: ignore[misc]
    yield "PodMonitor and PrometheusRule, by the operator's schemas", operator
    prometheus = DEPLOY / "prometheus"
    yield "prometheus.yaml, by promtool", lambda: run(["promtool", "check", "config", prometheus / "prometheus.yaml"])
    yield "kubernetes.yaml, by promtool", kubernetes_scrape
    for test in ("rules_test.yaml", "rules_long_test.yaml"):
        yield f"{test}, by promtool", lambda test=test: run(["promtool", "test", "rules", prometheus / test])  # type: ignore[misc]
    yield "alertmanager.yaml, by amtool", lambda: run(["amtool", "check-config", prometheus / "alertmanager.yaml"])


def run(command: Sequence[str | Path], **more: Any) -> str:
    """Of the virtual environment, or of the machine. Nothing to say when all is well."""
    beside = Path(sys.executable).with_name(str(command[0]))
    program = str(beside) if beside.exists() else shutil.which(str(command[0]))
    if program is None:
        raise NotCheckedError(f"{command[0]} is not on this machine")
    ended = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False, **more)
    if ended.returncode != 0:
        raise WrongError(ended.stdout + ended.stderr)
    return ""


def compose_file() -> dict[str, Any]:
    program = Path(sys.executable).with_name("docker-compose")
    files: list[str | Path] = ["--env-file", DEPLOY / "images.lock", "-f", DEPLOY / "compose.yaml"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **COMPOSE_NEEDS}
    command = [program, *files, "config", "--format", "json"]
    read = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if read.returncode != 0:
        raise WrongError(read.stderr)
    found: dict[str, Any] = json.loads(read.stdout)
    return found


def compose() -> str:
    return f"{len(compose_file()['services'])} services"


def mounted() -> str:
    """A bind mount shows a file as it lies on the host, to a user that does not own it: a clone made with umask 077
    fails only when the container starts. Secrets are made readable by deploy/compose_secrets.py, in a closed folder."""
    found = compose_file()
    mounts = [mount for service in found["services"].values() for mount in service.get("volumes", [])]
    sources = [Path(mount["source"]) for mount in mounts if mount["type"] == "bind"]
    sources += [Path(config["file"]) for config in found["configs"].values()]
    paths = {path for source in sources for path in [source, *source.rglob("*")]}
    closed = sorted(str(path) for path in paths if not path.stat().st_mode & 0o004)
    if closed:
        raise WrongError("chmod o+r " + " ".join(closed))
    return f"{len(paths)} files and folders"


def rendered(overlay: str) -> list[dict[str, Any]]:
    program = shutil.which("kubectl")
    if program is None:
        raise NotCheckedError("kubectl is not on this machine (it renders without a cluster)")
    command = [program, "kustomize", str(DEPLOY / "kubernetes" / "overlays" / overlay)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise WrongError(made.stderr)
    return [manifest for manifest in yaml.safe_load_all(made.stdout) if manifest]


def cluster(overlay: str) -> str:
    keda = json.loads((SCHEMAS / "keda" / "scaledobject.json").read_text())
    manifests = rendered(overlay)
    for manifest in manifests:
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        if manifest["apiVersion"].startswith("keda.sh/"):
            fits(keda, manifest)
            continue
        for version in KUBERNETES_VERSIONS:
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                raise WrongError(f"{name}, Kubernetes {version}: {error.message}") from error
    return f"{len(manifests)} manifests, Kubernetes {' and '.join(KUBERNETES_VERSIONS)}"


def operator() -> str:
    monitor = yaml.safe_load((DEPLOY / "kubernetes" / "operator" / "pod-monitor.yaml").read_text())
    for schema, manifest in (("podmonitor", monitor), ("prometheusrule", yaml.safe_load(operator_rules.manifest()))):
        fits(json.loads((SCHEMAS / "operator" / f"{schema}.json").read_text()), manifest)
    return ""


def fits(schema: dict[str, Any], manifest: dict[str, Any]) -> None:
    for error in Draft202012Validator(schema).iter_errors(manifest):
        raise WrongError(f"{manifest['kind']} {manifest['metadata']['name']}, {error.json_path}: {error.message}")


def kubernetes_scrape() -> str:
    """Debian builds Prometheus without Kubernetes."""
    path = DEPLOY / "prometheus" / "kubernetes.yaml"
    try:
        return run(["promtool", "check", "config", path])
    except WrongError as error:
        if "field kubernetes_sd_configs not found" not in str(error):
            raise
    config = yaml.safe_load(path.read_text())
    for job in config["scrape_configs"]:
        del job["kubernetes_sd_configs"]
    run(["promtool", "check", "config", "--syntax-only", "/dev/stdin"], input=yaml.safe_dump(config))
    return "without its kubernetes_sd_configs, which this promtool does not know"


def unfilled(overlay: str) -> Iterator[str]:
    file = DEPLOY / "kubernetes" / "overlays" / overlay
    for path in sorted(file.glob("*.yaml")):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if "REPLACE_ME" in line or ".example" in line:
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


if __name__ == "__main__":
    sys.exit(main())
