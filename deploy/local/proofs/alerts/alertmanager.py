"""A real Alertmanager with the product's configuration: what it sends to PagerDuty and Slack goes to a receiver on this
machine (receiver.py). Routes, groups, first waits and who silences whom are deploy/prometheus/alertmanager.yaml's.

Other than addresses and keys one thing differs: Prometheus tells a fresh Alertmanager of alerts that are over, too, and
their group would then be silent for the five minutes of `group_interval`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import urllib3
import yaml

from deploy.local.proofs.alerts.receiver import PAGERDUTY_PATH, ROUTING_KEY, SLACK_PATH, Receiver
from deploy.local.stack import processes
from deploy.local.stack.memory import Memory
from deploy.local.stack.server import Server, ServerFailedError

CONFIG = Path(__file__).resolve().parents[3] / "prometheus" / "alertmanager.yaml"
PROGRAMS = ("prometheus-alertmanager", "alertmanager")  # Debian's name, and everybody else's


class Alertmanager(Server):
    name = "alertmanager"

    def __init__(self, directory: Path, memory: Memory, receiver: Receiver) -> None:
        super().__init__(directory, memory)
        self.receiver = receiver
        self._http = urllib3.PoolManager(timeout=5.0, retries=False)

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start_afresh(self) -> None:
        """Without any state; the notifications of before are forgotten."""
        self.stop()
        shutil.rmtree(self.directory / "data", ignore_errors=True)
        self.receiver.notifications.clear()
        self.start()

    def whereabouts(self) -> dict[str, str]:
        """Alert -> the receiver that took it, or by which alert it is silenced."""
        alerts = self.ask("/api/v2/alerts")
        names = {alert["fingerprint"]: alert["labels"]["alertname"] for alert in alerts}
        silenced = {
            alert["labels"]["alertname"]: "silenced by " + names.get(alert["status"]["inhibitedBy"][0], "an alert")
            for alert in alerts
            if alert["status"]["inhibitedBy"]
        }
        return silenced | {each.alert: each.by for each in list(self.receiver.notifications) if each.is_taken}

    def ask(self, path: str) -> Any:
        return json.loads(self._http.request("GET", self.url + path).data)

    def _prepare(self) -> None:
        (self.directory / "alertmanager.yaml").write_text(yaml.safe_dump(self._addressed()))
        (self.directory / "routing_key").write_text(ROUTING_KEY)
        (self.directory / "slack_url").write_text(self.receiver.url + SLACK_PATH)

    def _addressed(self) -> Any:
        config = yaml.safe_load(CONFIG.read_text())
        config["route"]["group_interval"] = "5s"
        for receiver in config["receivers"]:
            for pagerduty in receiver.get("pagerduty_configs", []):
                pagerduty |= {
                    "url": self.receiver.url + PAGERDUTY_PATH,
                    "routing_key_file": str(self.directory / "routing_key"),
                }
            for slack in receiver.get("slack_configs", []):
                slack["api_url_file"] = str(self.directory / "slack_url")
        return config

    def _spawn(self, output: int) -> subprocess.Popen[bytes]:
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if program is None:
            raise ServerFailedError("Alertmanager is not installed: run `sh deploy/local/setup.sh prometheus`")
        command = [
            program,
            f"--config.file={self.directory}/alertmanager.yaml",
            f"--storage.path={self.directory}/data",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]
        return processes.spawn(command, self.stack_directory, directory=self.directory, output=output)

    def _answers(self) -> bool:
        try:
            return self._http.request("GET", f"{self.url}/-/ready").status == 200
        except urllib3.exceptions.HTTPError:
            return False
