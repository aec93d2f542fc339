"""`make audit`: asks a vulnerability service about everything that requirements.lock lists.

Ends with 0 if nothing is known, 1 if something is, and 3 if nobody could be asked. A package that
was passed over counts as not asked: the tool itself would call that no known vulnerability.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
VULNERABLE = 1
NOT_ASKED = 3
# Nothing is installed or resolved: what is asked about is what the lock says. Of the services,
# OSV's is the one that fails at once where it cannot be reached.
COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--requirement", "requirements.lock"),
    *("--disable-pip", "--require-hashes", "--vulnerability-service", "osv"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "15"),
)


class Verdict(NamedTuple):
    status: int
    text: str


def judge(output: str, errors: str) -> Verdict:
    """What the tool has printed, as a status and words for a person."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (errors.strip().splitlines() or ["it said nothing"])[-1]
        return Verdict(
            NOT_ASKED,
            "NOT AUDITED: the vulnerability service could not be asked. Nothing is known about"
            f" the packages of requirements.lock.\n  {last}",
        )
    known = [line for package in packages for line in _known(package)]
    passed_over = [package["name"] for package in packages if "skip_reason" in package]
    if known:
        return Verdict(VULNERABLE, "\n".join(["Known vulnerabilities:", *known]))
    if passed_over or not packages:
        return Verdict(
            NOT_ASKED,
            f"NOT AUDITED: {len(passed_over)} of {len(packages)} packages could not be asked"
            f" about: {', '.join(passed_over)}",
        )
    return Verdict(0, f"{len(packages)} packages, no known vulnerability")


def _known(package: Mapping[str, Any]) -> list[str]:
    return [
        f"  {package['name']} {package['version']}: {found['id']}"
        f" {' '.join(found.get('aliases', ()))} mended in {', '.join(found['fix_versions']) or '-'}"
        for found in package.get("vulns", ())
    ]


def main() -> None:
    result = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, check=False)
    verdict = judge(result.stdout, result.stderr)
    sys.stdout.write(f"{verdict.text}\n")
    sys.exit(verdict.status)


if __name__ == "__main__":
    main()
