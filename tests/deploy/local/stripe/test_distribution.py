"""The emulator can leave this repository as it is: its own list of packages, its own dependencies, its own name."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[4]
FOLDER = ROOT / "deploy" / "local" / "stripe"
NAME = "stripe_emulator"
PAY = """
from pathlib import Path
from urllib.parse import urlencode
import urllib3
from stripe_emulator.process import EmulatorProcess

payment = {"amount": 1250, "currency": "eur", "payment_method": "pm_card_visa", "confirm": "true",
           "automatic_payment_methods[enabled]": "true", "automatic_payment_methods[allow_redirects]": "never"}
with EmulatorProcess.start(Path("stripe.sqlite3"), "token") as emulator:
    headers = {"Authorization": "Bearer sk_test_x", "Content-Type": "application/x-www-form-urlencoded"}
    url = emulator.base_url + "/v1/payment_intents"
    answer = urllib3.request("POST", url, body=urlencode(payment), headers=headers)
    print(answer.status, answer.json()["status"], emulator.control().summary()["ledger_errors"])
"""


def _project() -> dict[str, Any]:
    return tomllib.loads((FOLDER / "pyproject.toml").read_text())


def test_every_folder_of_the_emulator_is_a_package_of_its_distribution() -> None:
    folders = {file.parent.relative_to(FOLDER).parts for file in FOLDER.rglob("*.py")}
    assert sorted(_project()["tool"]["setuptools"]["packages"]) == sorted(".".join((NAME, *parts)) for parts in folders)


def test_it_imports_itself_by_relative_names_and_otherwise_only_what_it_declares() -> None:
    declared = [*_project()["project"]["dependencies"], *_project()["project"]["optional-dependencies"]["fast"]]
    allowed = {re.split(r"[^a-z0-9_]", requirement)[0] for requirement in declared} | set(sys.stdlib_module_names)
    imported: set[str] = set()
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).partition(".")[0])
    assert imported - allowed == set()
    assert {"orjson", "uvicorn"} <= imported


def test_a_copy_of_the_folder_under_the_distribution_s_name_starts_and_takes_a_payment(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / NAME, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", PAY]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "200 succeeded []\n", done.stderr


def test_the_licence_that_goes_with_it_is_this_repository_s() -> None:
    assert (FOLDER / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
