"""`homerow status`: what runs, waits and fails, for a person and as JSON."""

import json
from pathlib import Path

from tests.api.commands import Run


def test_what_is_held_and_failing_is_told_first(run: Run, tenant: str, package: Path) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    assert run("sync", tenant).returncode == 0
    waiting = json.loads(run("status", "--json").stdout)
    [queued] = [each for each in waiting["queued"] if each["tenant"]["slug"] == tenant]
    assert queued["syncRun"]["state"] == "QUEUED"
    assert queued["syncRun"]["progress"] == {
        "phase": None,
        "read": 0,
        "expected": None,
        "percent": None,
        "rate": None,
        "estimatedFinishAt": None,
    }
    assert run("sync", tenant, "--here").returncode == 0
    (package / "users.csv").unlink()
    assert run("sync", tenant, "--here").returncode == 1
    told = json.loads(run("status", "--json").stdout)
    [failing] = [each for each in told["failing"] if each["tenant"]["slug"] == tenant]
    assert failing["failures"] == 1
    assert failing["failureCode"].startswith("FILE_")
    assert failing["lastSuccessAt"] is not None
    assert [each for each in told["queued"] if each["tenant"]["slug"] == tenant] == []
    shown = run("status")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"{told['tenantCount']} tenants: 0 running, " in shown.stdout
    assert f"1 runs: {failing['failureCode']}" in shown.stdout
