"""`homerow legacy`: the template, the preview, the import, and what is said of errors."""

import json
from pathlib import Path

from domain.legacy.layouts import LAYOUTS
from tests.api.commands import Run, refusal
from tests.domain.legacy.files import SMALL, zipped


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in {**SMALL, **files}.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_the_template_is_an_import_of_nothing(run: Run, tenant: str, tmp_path: Path) -> None:
    folder = tmp_path / "before"
    assert run("legacy", "template", folder).returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(SMALL)
    for layout in LAYOUTS:
        header, example = (folder / layout.file).read_text(encoding="utf-8").splitlines()
        assert header == ",".join(column.name for column in layout.columns)
        assert example == "# " + ",".join(layout.example)
    report = json.loads(run("legacy", "import", tenant, folder, "--json").stdout)
    assert [file["rows"] for file in report["files"]] == [0] * 6
    assert refusal(run("legacy", "template", folder), 2) == f"{folder} has a schools.csv already."


def test_a_template_with_its_examples_uncommented_can_be_imported(
    run: Run, tenant: str, tmp_path: Path
) -> None:
    assert run("legacy", "template", tmp_path / "before").returncode == 0
    for path in (tmp_path / "before").iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace("# ", ""), encoding="utf-8")
    done = run("legacy", "import", tenant, tmp_path / "before", "--apply", "--json")
    report = json.loads(done.stdout)
    assert (report["errorCount"], report["isApplied"]) == (0, True)
    assert [file["new"] for file in report["files"]] == [1] * 6


def test_a_folder_and_a_zip_are_shown_and_imported(run: Run, tenant: str, tmp_path: Path) -> None:
    shown = run("legacy", "import", tenant, write(tmp_path / "before"))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Preview" in shown.stdout
    assert shown.stdout.endswith("Nothing was changed; --apply imports it.\n")
    package = tmp_path / "before.zip"
    package.write_bytes(zipped(SMALL))
    report = json.loads(run("legacy", "import", tenant, package, "--apply", "--json").stdout)
    assert report["isApplied"] is True
    assert {file["name"]: file["new"] for file in report["files"]}["people.csv"] == 3
    again = json.loads(run("legacy", "import", tenant, tmp_path / "before", "--json").stdout)
    assert [file["new"] for file in again["files"]] == [0] * 6


def test_errors_are_shown_by_line_and_end_the_import(run: Run, tenant: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "before", **{"progress.csv": "person_id,group_id\np1,g9\n"})
    refused = run("legacy", "import", tenant, folder, "--apply")
    assert refused.returncode == 1
    assert (
        "progress.csv line 2, group_id: There is no group 'g9' that could be imported."
        in refused.stdout
    )
    assert refused.stderr == (
        "homerow: Nothing was imported, for there are errors (1): correct the files, or import"
        " without the rows that are wrong.\n"
    )
    assert run("legacy", "import", tenant, folder, "--apply", "--skip-errors").returncode == 0


def test_what_cannot_be_read_is_one_line(run: Run, tenant: str, tmp_path: Path) -> None:
    assert "holds none of" in refusal(run("legacy", "import", tenant, tmp_path), 2)
    file = tmp_path / "people.csv"
    file.write_text("one,two\n", encoding="utf-8")
    assert "neither a zip file nor one of" in refusal(run("legacy", "import", tenant, file), 2)
    assert "cannot be reached" in refusal(run("legacy", "import", tenant, tmp_path / "no"), 1)
    assert refusal(run("legacy", "import", "nobody", file), 2) == "There is no tenant 'nobody'."
