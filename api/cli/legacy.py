"""`homerow legacy`: who and what was there before rostering, from CSV files."""

import csv
import io
import zipfile
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from api.cli.console import (
    CommandError,
    result_console,
    tell,
)
from api.cli.importing import checked_size, read_file, run_import, tell_errors
from domain.errands.models import ErrandKind
from domain.files.imports import require_applied
from domain.files.uploads import UploadPurpose
from domain.legacy.layouts import LAYOUTS

commands = typer.Typer(help="Take over who and what was there before rostering.")

_COLUMNS = ("rows", "new", "existing", "changed", "errors")


@commands.command("import", epilog="Example: homerow legacy import springfield before.zip --apply")
def import_files(
    slug: Annotated[str, typer.Argument(help="The tenant.")],
    path: Annotated[
        Path, typer.Argument(help="A zip file or a folder with the files, or one of them.")
    ],
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Do it, not only look.")] = False,
    skip_errors: Annotated[
        bool, typer.Option("--skip-errors", help="Leave out the rows that are wrong.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what an import would do, and with --apply do it.

    Ends with status 1 if nothing was imported because of errors. docs/legacy.md has the files.
    """
    report = run_import(
        slug,
        _read(path),
        purpose=UploadPurpose.LEGACY_IMPORT,
        kind=ErrandKind.LEGACY_IMPORT,
        asked={"apply": apply, "skip_errors": skip_errors},
    )
    if as_json:
        tell(orjson.dumps(_as_json(report), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(report)
    if apply:
        require_applied(report)


def _read(path: Path) -> bytes:
    """Raises CommandError."""
    return checked_size(_zip_folder(path), path) if path.is_dir() else read_file(path)


def _zip_folder(path: Path) -> bytes:
    names = {layout.file for layout in LAYOUTS}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for found in sorted(path.iterdir()):
            if found.name.lower() in names:
                archive.write(found, found.name)
        if not archive.namelist():
            raise CommandError(f"{path} holds none of: {', '.join(sorted(names))}.")
    return buffer.getvalue()


def _as_json(report: dict[str, Any]) -> dict[str, Any]:
    """With the names that the GraphQL API has."""
    renamed = {"error_count": "errorCount", "is_applied": "isApplied"}
    return {renamed.get(name, name): value for name, value in report.items()}


def _show(report: dict[str, Any]) -> None:
    is_applied = report["is_applied"]
    table = Table("file", *_COLUMNS, title="Imported" if is_applied else "Preview")
    for file in report["files"]:
        table.add_row(file["name"], *(f"{file[name]:,}" for name in _COLUMNS))
    console = result_console()
    console.print(table)
    tell_errors(report)
    if not is_applied:
        tell("Nothing was changed; --apply imports it.")


@commands.command(epilog="Example: homerow legacy template before")
def template(
    folder: Annotated[Path, typer.Argument(help="Where the files go; made if need be.")],
) -> None:
    """Write empty files with their headers, each with an example that is not read.

    No file that is there already is overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if found := [layout.file for layout in LAYOUTS if (folder / layout.file).exists()]:
        raise CommandError(f"{folder} has a {found[0]} already.")
    for layout in LAYOUTS:
        with (folder / layout.file).open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([column.name for column in layout.columns])
            writer.writerow([f"# {layout.example[0]}", *layout.example[1:]])
    tell(f"Written to {folder}: {', '.join(layout.file for layout in LAYOUTS)}.")
