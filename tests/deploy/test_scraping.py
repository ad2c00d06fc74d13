"""In Kubernetes Prometheus finds every process by the name that the alerts go by, and KEDA finds what it asks for."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from deploy import metrics_page, operator_rules
from tests.deploy.manifests import KUBERNETES, of_kind, pod_of
from tests.deploy.scraping import FOLDER, as_discovered, pods, read, scrape_jobs
from tests.deploy.test_alerts import ALERTS, tool

SCHEMAS = Path(__file__).parent / "operator"
DEPLOYMENTS = of_kind("Deployment")
SETTINGS = of_kind("ConfigMap")["fleet-settings"]["data"]
POD_MONITOR = yaml.safe_load((KUBERNETES / "operator" / "pod-monitor.yaml").read_text())


def test_each_pod_is_one_target_whose_job_is_its_process_by_prometheus_own_relabelling(tmp_path: Path) -> None:
    (job,) = read("kubernetes.yaml")["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": ["payment-fleet"]}}]
    (tmp_path / "pods.json").write_text(json.dumps(as_discovered()))
    job["file_sd_configs"] = [{"files": ["pods.json"]}]
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump({"scrape_configs": [job]}))

    looked = subprocess.run(
        [tool("promtool"), "check", "service-discovery", "--timeout=2s", "prometheus.yaml", job["job_name"]],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert looked.returncode == 0, looked.stderr
    kept = [found["labels"] for found in json.loads(looked.stdout) if found.get("labels")]
    assert sorted(target["job"] for target in kept) == sorted(DEPLOYMENTS)
    assert {target["__address__"].partition(":")[2] for target in kept} == {SETTINGS["HEALTH_PORT"]}
    assert all(target["pod"].startswith(target["job"]) for target in kept)


def test_no_pod_is_offered_to_a_second_scrape() -> None:
    for name, manifest in pods().items():
        assert "prometheus.io/scrape" not in json.dumps(manifest), name


def test_prometheus_may_look_for_pods_and_nothing_else() -> None:
    binding = of_kind("RoleBinding")["find-pods"]

    assert of_kind("Role")["find-pods"]["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "prometheus", "namespace": "monitoring"}]


def test_the_operators_manifests_fit_its_own_schemas_and_find_the_same_pods_and_rules() -> None:
    rules = yaml.safe_load(operator_rules.manifest())
    for name, manifest in (("podmonitor", POD_MONITOR), ("prometheusrule", rules)):
        Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text())).validate(manifest)
    misspelt = {**POD_MONITOR, "spec": {**POD_MONITOR["spec"], "joblabel": "x"}}
    assert not Draft202012Validator(json.loads((SCHEMAS / "podmonitor.json").read_text())).is_valid(misspelt)

    assert rules["spec"] == read("rules.yaml")
    for name, deployment in DEPLOYMENTS.items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert labels[POD_MONITOR["spec"]["jobLabel"]] == name
        assert POD_MONITOR["spec"]["selector"]["matchLabels"].items() <= labels.items(), name
    assert [each["port"] for each in POD_MONITOR["spec"]["podMetricsEndpoints"]] == ["health"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_health_and_metrics_are_asked_at_the_port_where_the_process_serves_them(name: str) -> None:
    container = pod_of(DEPLOYMENTS[name])["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    assert {"configMapRef": {"name": "fleet-settings"}} in container["envFrom"]
    assert ports["health"] == int(SETTINGS["HEALTH_PORT"])
    assert SETTINGS["HEALTH_HOST"] == "0.0.0.0"  # noqa: S104  a pod is its own network
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "health", probe


def test_the_monitoring_namespace_reaches_the_health_port_of_every_pod() -> None:
    policy = of_kind("NetworkPolicy")["metrics"]["spec"]

    (rule,) = policy["ingress"]
    assert rule == {
        "from": [{"namespaceSelector": {"matchLabels": {"fleet/serves": "monitoring"}}}],
        "ports": [{"port": "health", "protocol": "TCP"}],
    }
    for name, manifest in pods().items():
        labels = manifest["spec"]["template"]["metadata"]["labels"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items(), name


def test_the_scaler_asks_for_metrics_and_labels_that_there_are_and_takes_no_answer_for_no_answer() -> None:
    """KEDA reads an empty answer as zero unless told otherwise, and the collector shows nothing while it is blind."""
    known = {line.name: set(line.labels) for line in metrics_page.lines()}
    triggers = [
        trigger["metadata"] for each in of_kind("ScaledObject").values() for trigger in each["spec"]["triggers"]
    ]

    assert len(triggers) > 10
    for trigger in triggers:
        (metric,) = re.findall(r"\bfleet_[a-z_]+", trigger["query"])
        asked = set(re.findall(r"(\w+)=", trigger["query"])) | {*re.findall(r"by \((\w+)\)", trigger["query"])}
        assert asked <= known[metric], trigger["query"]
        assert trigger["ignoreNullValues"] == "false"


def test_every_job_that_an_alert_names_is_scraped_and_every_process_has_an_alert() -> None:
    asked = {
        name for alert in ALERTS for value in re.findall(r'job=~?"([^"]+)"', alert["expr"]) for name in value.split("|")
    }

    for jobs in (set(scrape_jobs("prometheus.yaml")), set(DEPLOYMENTS)):
        for name in asked:
            assert any(re.fullmatch(name, job) for job in jobs), name
        for job in jobs:
            assert any(re.fullmatch(name, job) for name in asked), job


def test_the_cluster_and_compose_differ_in_nothing_but_whom_they_scrape() -> None:
    ours, theirs = read("kubernetes.yaml"), read("prometheus.yaml")
    del ours["scrape_configs"], theirs["scrape_configs"]

    assert ours == theirs
    assert ours["rule_files"] == ["rules.yaml"]
    assert (FOLDER / "rules.yaml").is_file()


def test_a_pod_waits_for_the_schema_with_the_image_and_the_login_it_runs_with() -> None:
    for name, deployment in DEPLOYMENTS.items():
        pod = pod_of(deployment)
        (waiting,) = pod["initContainers"]
        (running,) = pod["containers"]
        address: dict[str, Any] = next(each for each in running["env"] if each["name"] == "DATABASE_URL_FILE")

        assert waiting["image"] == running["image"] == "payment-fleet", name
        assert waiting["env"] == [address], name
        assert waiting["envFrom"] == [
            {"configMapRef": {"name": one}} for one in ("fleet-settings", "fleet-environment")
        ], name
