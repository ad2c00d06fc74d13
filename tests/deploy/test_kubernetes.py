"""The manifests against Kubernetes' and KEDA's own schemas, and against what the code needs."""

import json
import re
import shlex
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
from honcho.environ import parse_procfile
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from deploy.capacity.plan import measured
from messages.queue_classes import longest_run_seconds, queue_classes
from outbox.broker.publisher import CONFIRM_TIMEOUT_SECONDS
from tests.deploy import manifests
from tests.deploy.manifests import HAS_KUBECTL, OVERLAYS, ROOT, containers, of_kind, pod_of, rendered

KEDA = json.loads((Path(__file__).parent / "keda" / "scaledobject.json").read_text())
PROCFILE = parse_procfile((ROOT / "Procfile").read_text()).processes
DEPLOYMENTS = of_kind("Deployment")
SCALED = of_kind("ScaledObject")
STRIPE_LETS_THROUGH = 25  # payments a second, all of them through one pod
OLDEST, NEWEST = "1.30", "1.37.0"  # oldest and newest Kubernetes the schemas are at hand for, and we claim

needs_kubectl = pytest.mark.skipif(not HAS_KUBECTL, reason="no kubectl on this machine: overlays are not rendered")


@needs_kubectl
@pytest.mark.parametrize(("overlay", "version"), [("production", OLDEST), ("staging", NEWEST)])
def test_what_a_cluster_gets_fits_kubernetes_own_schemas(overlay: str, version: str) -> None:
    for manifest in rendered(overlay):
        if not manifest["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(manifest, version, strict=True)


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_scaled_objects_fit_kedas_own_schema(overlay: str) -> None:
    scaled = [manifest for manifest in rendered(overlay) if manifest["kind"] == "ScaledObject"]

    assert len(scaled) == len(queue_classes()) + 1
    for manifest in scaled:
        Draft202012Validator(KEDA).validate(manifest)


def test_a_misspelt_field_of_a_scaled_object_would_be_refused() -> None:
    wrong = {**SCALED["workers-charges"], "spec": {**SCALED["workers-charges"]["spec"], "cooldownperiod": 1}}

    assert not Draft202012Validator(KEDA).is_valid(wrong)


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_image_is_named_by_version_and_every_reference_is_there_or_a_secret(overlay: str) -> None:
    found = rendered(overlay)
    maps = {manifest["metadata"]["name"] for manifest in found if manifest["kind"] == "ConfigMap"}

    text = json.dumps(found)
    images = set(re.findall(r'"image": "([^"]+)"', text))

    assert all(re.search(r":\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$", image) for image in images), images
    assert {*re.findall(r'"configMap(?:Ref)?": \{"name": "([^"]+)"(?!, "optional": true)', text)} <= maps
    assert not any(manifest["kind"] == "Secret" for manifest in found), "no manifest holds a secret"


def test_the_deployments_are_the_procfile_with_one_for_each_class_of_queues() -> None:
    expected = {name: line for name, line in PROCFILE.items() if name != "workers"}
    expected |= {
        f"workers-{name}": f"python -m workers.main --processes 1 --threads 8 --queue-class {name}"
        for name in queue_classes()
    }

    assert {
        name: shlex.join(pod_of(each)["containers"][0]["command"]) for name, each in DEPLOYMENTS.items()
    } == expected


@pytest.mark.parametrize(("name", "container"), [pytest.param(*each, id=each[0]) for each in containers()])
def test_every_container_is_hardened(name: str, container: manifests.Manifest) -> None:
    context = container["securityContext"]

    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", [*DEPLOYMENTS, "migrate"])
def test_every_pod_is_nobody_knows_nothing_of_the_cluster_and_gets_secrets_as_files(name: str) -> None:
    pod = pod_of(DEPLOYMENTS.get(name) or of_kind("Job")[name])

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert "secretKeyRef" not in json.dumps(pod), "a variable is seen by too many"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_deployment_rolls_without_a_gap_spreads_and_is_asked_how_it_is(name: str) -> None:
    spec, pod = DEPLOYMENTS[name]["spec"], pod_of(DEPLOYMENTS[name])
    container = pod["containers"][0]

    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert {each["topologyKey"] for each in pod["topologySpreadConstraints"]} == {
        *("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    }
    assert pod["initContainers"][0]["command"] == ["fleet", "schema", "wait"], "nobody starts before the migrations"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert name == "dead-letters" or name in of_kind("PodDisruptionBudget")


@pytest.mark.parametrize("queue_class", queue_classes())
def test_a_worker_has_time_to_finish_what_it_holds_before_it_is_killed(queue_class: str) -> None:
    pod = pod_of(DEPLOYMENTS[f"workers-{queue_class}"])

    assert pod["terminationGracePeriodSeconds"] >= longest_run_seconds(queue_class) + 30


def test_the_relay_has_time_to_settle_the_batch_it_has_published() -> None:
    assert pod_of(DEPLOYMENTS["relay"])["terminationGracePeriodSeconds"] > CONFIRM_TIMEOUT_SECONDS + 10


@pytest.mark.parametrize("queue_class", queue_classes())
def test_a_class_scales_on_our_own_signals_and_slower_down_than_its_longest_run(queue_class: str) -> None:
    spec = SCALED[f"workers-{queue_class}"]["spec"]
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]

    assert [trigger["metadata"]["query"] for trigger in spec["triggers"]] == [
        f'max({metric}{{queue_class="{queue_class}"}})'
        for metric in ("fleet_scale_drain_seconds", "fleet_scale_ready_and_unacked", "fleet_scale_oldest_age_seconds")
    ]
    assert min(spec["cooldownPeriod"], down["stabilizationWindowSeconds"]) > longest_run_seconds(queue_class)
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    assert 1 <= spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher", "or a blind Prometheus stops workers in mid-sale"
    assert any(trigger["metricType"] == "AverageValue" for trigger in spec["triggers"]), "or KEDA ignores the fallback"
    assert "replicas" not in DEPLOYMENTS[f"workers-{queue_class}"]["spec"], "an apply would undo the scaling"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_requests_and_limits_come_from_what_was_measured(name: str) -> None:
    """Of the measured family of two worker processes a pod holds one, and one more for health."""
    line, share = (name, 1.0) if name in PROCFILE else ("workers", 0.7)
    resident = measured()["memory_mib"][line]["rss"] * share
    cores = measured()["cpu_ms_per_payment"][line] / 1e3 * STRIPE_LETS_THROUGH
    resources = pod_of(DEPLOYMENTS[name])["containers"][0]["resources"]
    requested, limit = (int(resources[kind]["memory"].removesuffix("Mi")) for kind in ("requests", "limits"))

    assert resident <= requested <= 4 * resident
    assert limit >= 2 * resident, "what is killed for memory loses nothing, and costs a minute"
    assert int(resources["requests"]["cpu"].removesuffix("m")) / 1e3 >= cores
    assert "cpu" not in resources["limits"], "a worker that is throttled holds its messages for longer"


def test_only_workers_hold_the_stripe_key_and_reach_stripe() -> None:
    for name, deployment in DEPLOYMENTS.items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        is_worker = name.startswith("workers-")

        assert ("fleet/stripe" in labels) is is_worker
        assert ("stripe-key" in json.dumps(pod_of(deployment))) is is_worker


def test_everybody_is_cut_off_except_for_what_a_policy_names() -> None:
    policies = of_kind("NetworkPolicy")

    assert policies["nothing-by-default"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policies["nothing-by-default"]["spec"]
    selected = json.dumps([policy["spec"]["podSelector"] for policy in policies.values()])
    for label in ("fleet/database", "fleet/broker", "fleet/cache", "fleet/stripe", "fleet/edge"):
        assert label in selected
