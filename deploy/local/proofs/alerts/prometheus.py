"""A real Prometheus beside the one-machine stack: scrapes every process, and tells which alerts fire.

Of deploy/prometheus/prometheus.yaml only addresses and pace differ: labels and how alerts are sent stay as they are.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
import yaml

from deploy.local.stack import processes
from deploy.local.stack.memory import Memory
from deploy.local.stack.server import Server, ServerFailedError

CONFIG = Path(__file__).resolve().parents[3] / "prometheus" / "prometheus.yaml"
PACE = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}


class Prometheus(Server):
    """`targets`: job -> ports on this machine. `rules`: the rules file's content. `alertmanager`: its host and port."""

    name = "prometheus"

    def __init__(
        self, directory: Path, memory: Memory, targets: Mapping[str, list[int]], rules: Any, alertmanager: str
    ) -> None:
        super().__init__(directory, memory)
        self._alertmanager = alertmanager
        self._targets = targets
        self._rules = rules
        self._http = urllib3.PoolManager(timeout=5.0, retries=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def firing(self) -> dict[str, list[str]]:
        """Alert -> what it says, for those that fire now."""
        found: dict[str, list[str]] = {}
        for alert in self.ask("/api/v1/alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["annotations"]["summary"])
        return found

    def not_scraped(self) -> list[str]:
        """Targets that gave no metrics just now, with the reason."""
        targets = self.ask("/api/v1/targets")["activeTargets"]
        return [f"{one['labels']['job']} ({one['lastError']})" for one in targets if one["health"] != "up"]

    def ask(self, path: str, **fields: str) -> Any:
        answer = self._http.request("GET", f"{self.url}{path}", fields=fields)
        return json.loads(answer.data)["data"]

    def _prepare(self) -> None:
        jobs = [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
            for job, ports in self._targets.items()
        ]
        config = yaml.safe_load(CONFIG.read_text())
        config["global"] |= PACE
        config["scrape_configs"] = jobs
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [self._alertmanager]}]}]
        (self.directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
        (self.directory / "rules.yaml").write_text(yaml.safe_dump(self._rules))

    def _spawn(self, output: int) -> subprocess.Popen[bytes]:
        program = shutil.which("prometheus")
        if program is None:
            raise ServerFailedError("prometheus is not installed: run `sh deploy/local/setup.sh prometheus`")
        command = [
            program,
            f"--config.file={self.directory}/prometheus.yaml",
            f"--storage.tsdb.path={self.directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        return processes.spawn(command, self.stack_directory, directory=self.directory, output=output)

    def _answers(self) -> bool:
        try:
            return self._http.request("GET", f"{self.url}/-/ready").status == 200
        except urllib3.exceptions.HTTPError:
            return False
