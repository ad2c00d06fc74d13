"""The manifests as a cluster would get them: rendered by `kubectl kustomize`, which needs no cluster."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("staging", "production")
HAS_KUBECTL = shutil.which("kubectl") is not None

Manifest = dict[str, Any]


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    command = ["kubectl", "kustomize", str(KUBERNETES / "overlays" / overlay)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return tuple(yaml.safe_load_all(text))


def written() -> list[Manifest]:
    """The base as it is written, for tests that need no rendering."""
    files = [path for path in sorted((KUBERNETES / "base").glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [manifest for path in files for manifest in yaml.safe_load_all(path.read_text())]


def of_kind(kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in written() if manifest["kind"] == kind}


def pod_of(manifest: Manifest) -> Manifest:
    """The pod's spec of a Deployment or a Job."""
    pod: Manifest = manifest["spec"]["template"]["spec"]
    return pod


def containers() -> Iterator[tuple[str, Manifest]]:
    for kind in ("Deployment", "Job"):
        for name, manifest in of_kind(kind).items():
            pod = pod_of(manifest)
            for container in [*pod.get("initContainers", []), *pod["containers"]]:
                yield f"{name}/{container['name']}", container
