"""What `make audit` makes of what the auditing tool prints."""

import json
from typing import Any

from tests.audit import NOT_ASKED, VULNERABLE, judge

CLEAN: dict[str, Any] = {"name": "anyio", "version": "4.16.0", "vulns": []}
PASSED_OVER = {"name": "arq", "skip_reason": "Dependency not found and could not be audited"}
VULNERABILITY = {"id": "GHSA-x", "aliases": ["CVE-2026-48710"], "fix_versions": ["1.0.1"]}
KNOWN = {"name": "starlette", "version": "1.0.0", "vulns": [VULNERABILITY]}


def printed(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_nothing_known_of_anything_is_well() -> None:
    assert judge(printed(CLEAN, CLEAN), "") == (0, "2 packages, no known vulnerability")


def test_a_known_vulnerability_is_named() -> None:
    text = "Known vulnerabilities:\n  starlette 1.0.0: GHSA-x CVE-2026-48710 mended in 1.0.1"
    assert judge(printed(CLEAN, KNOWN, PASSED_OVER), "Found 1") == (VULNERABLE, text)


def test_a_package_that_was_passed_over_was_not_audited() -> None:
    verdict = judge(printed(CLEAN, PASSED_OVER), "No known vulnerabilities found")
    assert verdict.status == NOT_ASKED
    assert verdict.text == "NOT AUDITED: 1 of 2 packages could not be asked about: arq"


def test_a_service_that_is_away_is_said_to_be_away() -> None:
    for output in ("", "Traceback", "[]", "{}"):
        verdict = judge(output, "Traceback\n  ...\nConnectionError: no such host\n")
        assert verdict.status == NOT_ASKED
        assert verdict.text.startswith("NOT AUDITED: the vulnerability service could not be asked")
        assert verdict.text.endswith("\n  ConnectionError: no such host")
    assert judge("", "").text.endswith("it said nothing")


def test_an_audit_of_nothing_is_none() -> None:
    assert judge(printed(), "").status == NOT_ASKED
