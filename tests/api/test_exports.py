"""`homerow export`: the same sheets, into a file or a pipe."""

import csv
import io
import json
from pathlib import Path

from domain.sync.exports import CHANGE_HEADER, ERROR_HEADER
from tests.api.commands import Run, homerow, refusal


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_errors_and_changes_are_written_as_sheets(
    run: Run, tenant: str, package: Path, data_dir: Path, tmp_path: Path
) -> None:
    users = package / "users.csv"
    lines = users.read_text(encoding="utf-8").splitlines()
    columns = lines[0].split(",")
    broken = dict.fromkeys(columns, "") | {
        "sourcedId": "broken", "enabledUser": "true", "role": "student", "givenName": "=Mia",
        "familyName": "Lee",
    }  # fmt: skip
    lines.append(",".join(broken.values()))
    users.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert run("integration", "set", tenant, "oneroster-csv", "--path", package).returncode == 0
    synced = run("sync", tenant, "--here", "--json")
    assert synced.returncode == 0, synced.stderr
    run_id = json.loads(synced.stdout)["id"]

    errors = tmp_path / "errors.csv"
    written = run("export", "errors", tenant, "--source-id", "broken", "--output", errors)
    assert (written.returncode, written.stdout) == (0, "")
    assert written.stderr == f"Written to {errors}.\n"
    rows = read(errors.read_text(encoding="utf-8"))
    assert rows[0] == list(ERROR_HEADER)
    assert {row[6] for row in rows[1:]} == {"broken"}
    assert list(tmp_path.glob("*.part")) == []

    piped = homerow(data_dir, "export", "changes", tenant, run_id, "--record-type", "school")
    assert (piped.returncode, piped.stderr) == (0, "")
    header, *schools = read(piped.stdout)
    assert header == list(CHANGE_HEADER)
    assert schools
    assert {(row[0], row[4]) for row in schools} == {("SCHOOL", "CREATE")}


def test_what_cannot_be_exported_is_one_line(run: Run, tenant: str, tmp_path: Path) -> None:
    run_id = "01900000-0000-7000-8000-000000000000"
    target = tmp_path / "changes.csv"
    refused = run("export", "changes", tenant, run_id, "--output", target)
    assert refusal(refused, 2) == f"There is no sync run '{run_id}'."
    assert list(tmp_path.iterdir()) == []
    assert refusal(run("export", "errors", "nobody"), 2) == "There is no tenant 'nobody'."
    assert "no code 'NOPE'" in refusal(
        run("export", "errors", tenant, "--code", "nope"), 2
    ).replace("nope", "NOPE")
    nowhere = tmp_path / "nowhere" / "errors.csv"
    assert "cannot be reached" in refusal(run("export", "errors", tenant, "--output", nowhere), 1)
