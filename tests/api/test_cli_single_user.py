"""`homerow sync --user`: one person is read, and each step is told."""

import csv
import json
from pathlib import Path

from api.generator.package import generate
from tests.api.commands import Run, refusal

NAMES = ["FETCHED", "IN_SCOPE", "VALID", "MATCHED", "LICENSED", "CHANGED"]


def test_one_person_is_read_and_each_step_is_told(run: Run, tenant: str, package: Path) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    generate(package, students=60, seed=3)
    early = refusal(run("sync", tenant, "--user", "anybody", "--here"), 1)
    assert early.startswith("The first sync has not been applied yet")
    assert run("sync", tenant, "--here").returncode == 0
    with (package / "users.csv").open(encoding="utf-8", newline="") as file:
        student = next(row for row in csv.DictReader(file) if row["role"] == "student")
    told = run("sync", tenant, "--user", student["sourcedId"], "--here")
    assert (told.returncode, told.stderr) == (0, "")
    lines = told.stdout.splitlines()[1:]
    assert [line.partition(": ")[0] for line in lines] == NAMES
    assert lines[-1] == "CHANGED: PASSED: Everything is stored as the provider has it."
    answer = json.loads(run("sync", tenant, "--user", "number:none", "--here", "--json").stdout)
    assert answer["mode"] == "SINGLE_USER"
    assert answer["steps"][0] == {
        "name": "FETCHED",
        "outcome": "STOPPED",
        "message": "Nobody at ONEROSTER_CSV has the number none.",
    }
