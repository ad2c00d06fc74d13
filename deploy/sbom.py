"""The bill of materials of the image (CycloneDX 1.6), made from the lock that the image is installed from.

    python -m deploy.sbom            writes deploy/sbom.json
    python -m deploy.sbom --check    leaves with 1 when it no longer tells the truth

It is committed and copied into the image, so that whoever has the image, or only the source, can ask what is inside.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOCK = HERE / "requirements.runtime.lock"
SBOM = HERE / "sbom.json"


def bill_of_materials() -> str:
    """The same lock gives the same bytes: no time, no serial number."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(LOCK)]
    options = ["--pyproject", str(HERE.parent / "pyproject.toml"), "--mc-type", "application"]
    options += ["--spec-version", "1.6", "--output-reproducible", "--output-format", "JSON", "--output-file", "-"]
    made = subprocess.run([*command, *options], capture_output=True, text=True, check=True)  # noqa: S603
    document = json.loads(made.stdout)
    document["metadata"].pop("tools", None)
    document["components"] = [_plain(component) for component in document["components"]]
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _plain(component: dict[str, Any]) -> dict[str, Any]:
    """Name, version and purl. The registry's addresses stay out, and the hashes stand in the lock, which pip obeys."""
    return {key: component[key] for key in ("bom-ref", "name", "purl", "type", "version")}


def main(arguments: list[str]) -> int:
    wanted = bill_of_materials()
    if "--check" in arguments:
        fresh = SBOM.exists() and SBOM.read_text() == wanted
        print("the bill of materials is complete" if fresh else "stale: run python -m deploy.sbom")
        return 0 if fresh else 1
    SBOM.write_text(wanted)
    print(f"{SBOM.name} written from {LOCK.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
