"""`homerow admins` and `homerow staff`: people who are in no provider's roster, by CSV."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from api.cli.console import CommandError, result_console, tell
from api.cli.exports import Output, Slug, write_download
from api.cli.importing import read_file, run_import, tell_errors
from domain.errands.models import ErrandKind
from domain.files.imports import require_applied
from domain.staffing.exports import begin_people_download
from domain.staffing.layouts import PEOPLE, PeopleKind, template_of
from domain.staffing.planning import PeopleAction

_WHO = {
    PeopleKind.ADMINS: "district and school admins",
    PeopleKind.STAFF: "staff who do not teach",
}
_MOST_ROWS = 50
_RENAMED = {"error_count": "errorCount", "is_applied": "isApplied"}
_ERROR_FIELDS = ("line", "column", "message")


def _commands_for(kind: PeopleKind) -> typer.Typer:
    name, file = kind.value.lower(), PEOPLE[kind].layout.file
    commands = typer.Typer(help=f"Take over {_WHO[kind]}, who are in no provider's roster.")

    @commands.command("import", epilog=f"Example: homerow {name} import springfield {file} --apply")
    def import_file(
        slug: Slug,
        path: Annotated[Path, typer.Argument(help="The CSV file.")],
        *,
        apply: Annotated[bool, typer.Option("--apply", help="Do it, not only look.")] = False,
        skip_errors: Annotated[
            bool, typer.Option("--skip-errors", help="Leave out the rows that are wrong.")
        ] = False,
        archive_missing: Annotated[
            bool,
            typer.Option("--archive-missing", help="Archive who is here and not in the file."),
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    ) -> None:
        """Show what would become of whom, and with --apply do it.

        Ends with status 1 if nothing was imported because of errors. docs/imports.md has the file.
        """
        report = run_import(
            slug,
            read_file(path),
            purpose=PEOPLE[kind].purpose,
            kind=ErrandKind.PEOPLE_IMPORT,
            asked={
                "kind": kind.value,
                "apply": apply,
                "skip_errors": skip_errors,
                "archive_missing": archive_missing,
            },
        )
        if as_json:
            tell(orjson.dumps(_as_json(report), option=orjson.OPT_INDENT_2).decode())
        else:
            _show(report)
        if apply:
            require_applied(report)

    @commands.command(epilog=f"Example: homerow {name} template {file}")
    def template(
        path: Annotated[Path, typer.Argument(help="The file; none is overwritten.")],
    ) -> None:
        """Write an empty file with its header, and an example that is not read."""
        if path.exists():
            raise CommandError(f"There is a file {path} already.")
        path.write_bytes(template_of(kind))
        tell(f"Written to {path}.")

    @commands.command(epilog=f"Example: homerow {name} export springfield --output {file}")
    def export(slug: Slug, *, output: Output = None) -> None:
        """Write who was imported, as the file that an import takes."""
        write_download(slug, partial(begin_people_download, kind=kind), output)

    return commands


def _as_json(report: dict[str, Any]) -> dict[str, Any]:
    """With the names that the GraphQL API has."""
    errors = [{name: error[name] for name in _ERROR_FIELDS} for error in report["errors"]]
    told: dict[str, Any] = report | {"errors": errors}
    return {_RENAMED.get(name, name): value for name, value in told.items()}


def _show(report: dict[str, Any]) -> None:
    is_applied = report["is_applied"]
    console = result_console()
    numbers: dict[str, int] = report["counts"] | {"wrong": report["wrong"]}
    counts = Table(*numbers, title="Imported" if is_applied else "Preview")
    counts.add_row(*(f"{number:,}" for number in numbers.values()))
    console.print(counts)
    changed = [row for row in report["people"] if row["action"] != PeopleAction.UNCHANGED.value]
    for row in changed[:_MOST_ROWS]:
        line = f"line {row['line']}" if row["line"] else "not in the file"
        fields = f" ({', '.join(row['fields'])})" if row["fields"] else ""
        tell(f"{row['action'].lower()} {row['username']}, {line}{fields}")
    if len(changed) > _MOST_ROWS:
        tell("And more; --json lists up to a thousand.")
    tell_errors(report)
    if not is_applied:
        tell("Nothing was changed; --apply imports it.")


admins = _commands_for(PeopleKind.ADMINS)
staff = _commands_for(PeopleKind.STAFF)
