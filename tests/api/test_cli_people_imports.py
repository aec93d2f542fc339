"""`homerow admins` and `homerow staff`: the template, the preview, the import, the export."""

import json
from pathlib import Path

import pytest

from domain.staffing.layouts import PeopleKind, template_of
from tests.api.commands import Run, refusal
from tests.domain.staffing.files import ADMINS, STAFF

DISTRICT = "\n".join(ADMINS.splitlines()[:2]) + "\n"


def write(folder: Path, content: str, name: str = "people.csv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", PeopleKind)
def test_the_template_is_written_once(run: Run, tmp_path: Path, kind: PeopleKind) -> None:
    path = tmp_path / "people.csv"
    done = run(kind.value.lower(), "template", path)
    assert (done.returncode, done.stdout) == (0, f"Written to {path}.\n")
    assert path.read_bytes() == template_of(kind)
    again = refusal(run(kind.value.lower(), "template", path), 2)
    assert again == f"There is a file {path} already."


def test_a_file_is_shown_imported_and_exported(run: Run, tenant: str, tmp_path: Path) -> None:
    file = write(tmp_path, DISTRICT)
    shown = run("admins", "import", tenant, file)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Preview" in shown.stdout
    assert "create ann.fox, line 2\n" in shown.stdout
    assert shown.stdout.endswith("Nothing was changed; --apply imports it.\n")
    report = json.loads(run("admins", "import", tenant, file, "--apply", "--json").stdout)
    assert (report["isApplied"], report["errorCount"], report["counts"]["create"]) == (True, 0, 1)
    sheet = tmp_path / "admins.csv"
    written = run("admins", "export", tenant, "--output", sheet)
    assert (written.returncode, written.stderr) == (0, f"Written to {sheet}.\n")
    edited = write(tmp_path, sheet.read_text(encoding="utf-8").replace('"Fox"', '"Foxx"'))
    changed = run("admins", "import", tenant, edited, "--apply", "--archive-missing")
    assert "update ann.fox, line 2 (family_name)\n" in changed.stdout
    assert "Imported" in changed.stdout
    assert "ann.fox" not in run("staff", "export", tenant).stdout


def test_errors_are_shown_by_line_and_end_the_import(run: Run, tenant: str, tmp_path: Path) -> None:
    file = write(tmp_path, STAFF + "bo,Bo,Ray,bo\n")
    refused = run("staff", "import", tenant, file, "--apply")
    assert refused.returncode == 1
    assert (
        "staff.csv line 3, email: 'bo' is not an email address such as ann.fox@example.org."
        in refused.stdout
    )
    assert refused.stderr.startswith("homerow: Nothing was imported, for there are errors (1): ")
    told = json.loads(run("staff", "import", tenant, file, "--json").stdout)
    assert list(told["errors"][0]) == ["line", "column", "message"]
    assert run("staff", "import", tenant, file, "--apply", "--skip-errors").returncode == 0


def test_what_cannot_be_read_is_one_line(run: Run, tenant: str, tmp_path: Path) -> None:
    file = write(tmp_path, "username\n")
    assert "are missing" in refusal(run("admins", "import", tenant, file), 2)
    assert "cannot be reached" in refusal(run("admins", "import", tenant, tmp_path / "no"), 1)
    assert refusal(run("admins", "import", "nobody", file), 2) == "There is no tenant 'nobody'."
    header = write(tmp_path, DISTRICT.splitlines()[0] + "\n")
    empty = run("admins", "import", tenant, header, "--apply", "--archive-missing")
    assert refusal(empty, 2) == "There is nobody in the file."
