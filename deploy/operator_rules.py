"""Prints deploy/prometheus/rules.yaml as the Prometheus operator wants it; there is one copy of the rules.

python -m deploy.operator_rules | kubectl apply -f -
"""

from pathlib import Path

RULES = Path(__file__).parent / "prometheus" / "rules.yaml"
HEAD = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: payment-fleet
  namespace: payment-fleet
  labels: {app.kubernetes.io/part-of: payment-fleet}
spec:
"""


def manifest() -> str:
    """The file holds `groups`, which is what stands under `spec`: moved two columns to the right, comments and all."""
    return HEAD + "".join(f"  {line}" if line.strip() else line for line in RULES.read_text().splitlines(keepends=True))


if __name__ == "__main__":
    print(manifest(), end="")
