"""The scaling policy as it stands in the manifests, and what Kubernetes makes of it. A rule: values in, values out.

`read_policies` takes deploy/kubernetes/base/scaling.yaml, so that what is simulated and proved is what is deployed.
`Autoscaler.pods` is the algorithm of the HorizontalPodAutoscaler that KEDA drives (kubernetes.io/docs/tasks/
run-application/horizontal-pod-autoscale): the greatest wish of all triggers, a tolerance of a tenth, stabilisation
windows, and policies that bound each step.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

MANIFEST = Path(__file__).parents[1] / "kubernetes" / "base" / "scaling.yaml"
TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance
SYNC_SECONDS = 15.0  # --horizontal-pod-autoscaler-sync-period


@dataclass(frozen=True, slots=True)
class Trigger:
    """`signal`: drain, held, age or lag. Value scales the present pods by measured/threshold, AverageValue divides."""

    signal: str
    threshold: float
    kind: Literal["Value", "AverageValue"]

    def wishes(self, pods: int, measured: float) -> int:
        wanted = pods * measured / self.threshold if self.kind == "Value" else measured / self.threshold
        return pods if pods and abs(wanted / pods - 1) <= TOLERANCE else math.ceil(wanted)


@dataclass(frozen=True, slots=True)
class ScaleStep:
    kind: Literal["Pods", "Percent"]
    value: int
    period_seconds: float


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    least: int
    most: int
    poll_seconds: float
    cooldown_seconds: float
    triggers: tuple[Trigger, ...]
    up: tuple[ScaleStep, ...]
    down: tuple[ScaleStep, ...]
    up_window_seconds: float
    down_window_seconds: float


def read_policies(manifest: Path = MANIFEST) -> dict[str, Policy]:
    """Deployment -> policy."""
    policies = [_policy(document["spec"]) for document in yaml.safe_load_all(manifest.read_text())]
    return {policy.name: policy for policy in policies}


def _policy(spec: Mapping[str, Any]) -> Policy:
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    up, down = behavior["scaleUp"], behavior["scaleDown"]
    return Policy(
        name=spec["scaleTargetRef"]["name"],
        least=spec["minReplicaCount"],
        most=spec["maxReplicaCount"],
        poll_seconds=spec["pollingInterval"],
        cooldown_seconds=spec["cooldownPeriod"],
        triggers=tuple(
            Trigger(each["name"], float(each["metadata"]["threshold"]), each["metricType"]) for each in spec["triggers"]
        ),
        up=_steps(up),
        down=_steps(down),
        up_window_seconds=up["stabilizationWindowSeconds"],
        down_window_seconds=down["stabilizationWindowSeconds"],
    )


def _steps(side: Mapping[str, Any]) -> tuple[ScaleStep, ...]:
    return tuple(ScaleStep(each["type"], each["value"], each["periodSeconds"]) for each in side["policies"])


@dataclass(slots=True)
class Autoscaler:
    """Remembers its wishes and steps, as the controller does; `pods` is asked once a sync period."""

    policy: Policy
    _wishes: list[tuple[float, int]] = field(default_factory=list)
    _steps: list[tuple[float, int]] = field(default_factory=list)  # (when, pods added; negative: taken away)

    def pods(self, now: float, running: int, signals: Mapping[str, float]) -> int:
        """How many pods there shall be from now on."""
        policy = self.policy
        wish = max(trigger.wishes(running, signals[trigger.signal]) for trigger in policy.triggers)
        wish = max(policy.least, min(policy.most, wish))
        self._wishes.append((now, wish))
        wanted = self._bounded(now, running, self._stabilised(now, running))
        if wanted != running:
            self._steps.append((now, wanted - running))
        return wanted

    def _stabilised(self, now: float, running: int) -> int:
        """Up: no higher than the least wish of its window. Down: no lower than the greatest of its own."""
        keep = max(self.policy.up_window_seconds, self.policy.down_window_seconds)
        self._wishes = [(at, wish) for at, wish in self._wishes if at >= now - keep]
        lowest = min(wish for at, wish in self._wishes if at >= now - self.policy.up_window_seconds)
        highest = max(wish for at, wish in self._wishes if at >= now - self.policy.down_window_seconds)
        return max(running, lowest) if lowest > running else min(running, highest)

    def _bounded(self, now: float, running: int, wanted: int) -> int:
        if wanted > running:
            return min(wanted, max(self._reach(now, running, step, 1) for step in self.policy.up))
        if wanted < running:
            return max(wanted, min(self._reach(now, running, step, -1) for step in self.policy.down))
        return running

    def _reach(self, now: float, running: int, step: ScaleStep, sign: int) -> int:
        """The farthest this step policy lets it go, after what was done within its period already."""
        done = sum(pods for at, pods in self._steps if at > now - step.period_seconds and pods * sign > 0)
        base = running - done
        if step.kind == "Pods":
            return base + sign * step.value
        return math.ceil(base * (1 + sign * step.value / 100))
