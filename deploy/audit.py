"""`make lint`'s look for known vulnerabilities in what the image holds. It never says "fine" when it could not look.

pip-audit asks a database of vulnerabilities over the network (the package index's own, or OSV with --osv). Where
neither can be reached, or where the index answers but knows nothing of vulnerabilities (a mirror), pip-audit itself
leaves with 0 and every package "skipped": that is told here, loudly, and is an error where AUDIT_REQUIRED is set (a
release, CI with a network). Exit codes: 0 looked and found nothing, or could not look and nobody required it; 1 found
something, or could not look although it was required.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).with_name("requirements.runtime.lock")
PATIENCE_SECONDS = 120


def main(arguments: list[str]) -> int:
    service = "osv" if "--osv" in arguments else "pypi"
    command = [sys.executable, "-m", "pip_audit", "-r", str(LOCK), "--disable-pip", "--require-hashes"]
    command += ["-s", service, "--format", "json", "--progress-spinner", "off", "--timeout", "5"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired:
        return _could_not_look(f"no answer within {PATIENCE_SECONDS} s")
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        strs = ended.stderr.strip().splitlines()
        return _could_not_look(strs[-1][:200] if strs else f"exit code {ended.returncode}")
    return judged(packages)


def judged(packages: list[dict[str, object]]) -> int:
    """The exit code for pip-audit's list of packages."""
    skipped = [package for package in packages if "skip_reason" in package]
    looked = [package for package in packages if package not in skipped]
    found = [(package, each) for package in looked for each in list(package.get("vulns") or [])]  # type: ignore[call-overload]
    for package, vulnerability in found:
        print(
            f"AUDIT: {package['name']} {package['version']}: {vulnerability['id']}, {vulnerability.get('fix_versions')}"
        )
    if found:
        return 1
    if skipped:
        return _could_not_look(
            f"{len(skipped)} of {len(packages)} packages are unknown to the database of vulnerabilities"
        )
    print(f"audit: no known vulnerability in {len(looked)} packages")
    return 0


def _could_not_look(why: str) -> int:
    required = bool(os.environ.get("AUDIT_REQUIRED"))
    advice = "It is required here." if required else "Set AUDIT_REQUIRED=1 to make this an error."
    print(f"AUDIT NOT DONE ({why}). {advice}")
    return 1 if required else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
