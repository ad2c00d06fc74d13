"""What the scrape configurations look for, and what would be found."""

from typing import Any

import yaml

from tests.deploy.manifests import ROOT, Manifest, of_kind, pod_of

FOLDER = ROOT / "deploy" / "prometheus"


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def scrape_jobs(name: str) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in read(name)["scrape_configs"]}


def pods() -> dict[str, Manifest]:
    """Whatever runs a pod: the Deployments and the job."""
    return of_kind("Deployment") | of_kind("Job")


def as_discovered() -> list[dict[str, Any]]:
    """The pods of the manifests as Kubernetes' service discovery shows them (role: pod): a target for each port of a
    container, or one without a port. A file of targets, because not every build of Prometheus knows Kubernetes."""
    return [
        target
        for number, (name, manifest) in enumerate(pods().items(), start=1)
        for container in [*pod_of(manifest).get("initContainers", []), *pod_of(manifest)["containers"]]
        for target in _targets(f"10.0.0.{number}", _about(name, manifest), container.get("ports") or [{}])
    ]


def _about(name: str, manifest: Manifest) -> dict[str, str]:
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    return {
        "__meta_kubernetes_namespace": "payment-fleet",
        "__meta_kubernetes_pod_name": f"{name}-abc",
        "__meta_kubernetes_pod_phase": "Running",
        **{f"__meta_kubernetes_pod_label_{_plain(label)}": value for label, value in labels.items()},
    }


def _targets(address: str, about: dict[str, str], ports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "targets": [f"{address}:{port.get('containerPort', '')}".removesuffix(":")],
            "labels": about | {"__meta_kubernetes_pod_container_port_name": port.get("name", "")},
        }
        for port in ports
    ]


def _plain(label: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in label)
