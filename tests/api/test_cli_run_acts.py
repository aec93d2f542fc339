"""`homerow run`: stopping and undoing runs from the command line."""

import json
import re
from pathlib import Path

from tests.api.commands import Run, refusal

NO_RUN = "00000000-0000-7000-8000-000000000000"


def test_a_run_is_stopped_and_another_undone(run: Run, tenant: str, package: Path) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    assert refusal(run("run", "cancel", tenant), 2) == (
        f"There is no run under way of the tenant {tenant!r}."
    )
    run_id = run("sync", tenant).stdout.split()[2]
    assert run("run", "cancel", tenant).stdout == f"The run {run_id} is CANCELLED.\n"
    assert "it has ended CANCELLED" in refusal(run("run", "cancel", tenant, run_id), 1)
    answer = json.loads(run("sync", tenant, "--here", "--json").stdout)
    assert answer["state"].startswith("SUCCEEDED")
    result = run("run", "revert", tenant, answer["id"], "--here")
    assert result.returncode == 0
    assert re.fullmatch(r"The run [0-9a-f-]{36} has ended SUCCEEDED\.\n", result.stdout)
    assert result.stderr.startswith("The next sync does it again unless ")
    assert "undone already" in refusal(run("run", "revert", tenant, answer["id"]), 1)


def test_a_run_that_is_not_there_is_one_line_and_status_2(run: Run, tenant: str) -> None:
    for act in ("cancel", "revert"):
        assert refusal(run("run", act, tenant, "nonsense"), 2) == (
            "'nonsense' is not the id of a run."
        )
        assert refusal(run("run", act, tenant, NO_RUN), 2) == f"There is no sync run '{NO_RUN}'."
