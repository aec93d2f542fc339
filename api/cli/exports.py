"""`homerow export`: validation errors, and what a run changed, as CSV."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID

import typer

from api.cli.asking import opened, tenant_of
from api.cli.console import say
from domain.errors import NotFound
from domain.files.downloads import Download, csv_of
from domain.people.callers import COMMAND_LINE
from domain.roster.records import RecordType
from domain.sync.downloads import Choice, begin_download
from domain.sync.exports import ChangeChoice, ErrorChoice
from domain.sync.models import ChangeAction
from domain.validation.codes import Code, Severity
from domain.validation.models import ErrorState

commands = typer.Typer(help="Write sheets, as CSV that is safe to open in a spreadsheet.")

Slug = Annotated[str, typer.Argument(help="The tenant.")]
Output = Annotated[
    Path | None, typer.Option(help="The file; without it, standard output.", dir_okay=False)
]
Begin = Callable[..., Awaitable[Download]]
"""Given a session, and by name tenant_id and caller."""

Kind = Annotated[
    RecordType | None, typer.Option(help="Only of records of this kind.", case_sensitive=False)
]


@commands.command(
    epilog="Example: homerow export errors springfield --state open --output errors.csv"
)
def errors(  # noqa: PLR0913 - one for each option
    slug: Slug,
    *,
    output: Output = None,
    state: Annotated[
        list[ErrorState] | None,
        typer.Option(help="Only in this state; may be repeated.", case_sensitive=False),
    ] = None,
    severity: Annotated[
        list[Severity] | None,
        typer.Option(help="Only of this severity; may be repeated.", case_sensitive=False),
    ] = None,
    code: Annotated[
        list[str] | None, typer.Option(help="Only with this code; may be repeated.")
    ] = None,
    record_type: Kind = None,
    source_id: Annotated[
        str | None, typer.Option(help="Only of the record with this id at the provider.")
    ] = None,
    cause: Annotated[str | None, typer.Option(help="Only of this cause.")] = None,
) -> None:
    """Write a tenant's validation errors, a row for each."""
    choice = ErrorChoice(
        states=tuple(state or ()) or None,
        severities=tuple(severity or ()) or None,
        codes=tuple(_code(text) for text in code or ()) or None,
        cause=cause,
        record_type=record_type,
        source_id=source_id,
    )
    _export(slug, choice, output)


@commands.command(epilog="Example: homerow export changes springfield RUN --output changes.csv")
def changes(
    slug: Slug,
    run: Annotated[str, typer.Argument(help="The id of the run.")],
    *,
    output: Output = None,
    record_type: Kind = None,
    action: Annotated[
        ChangeAction | None, typer.Option(help="Only changes of this sort.", case_sensitive=False)
    ] = None,
    waiting: Annotated[
        bool | None, typer.Option("--waiting/--done", help="Only those that wait, or do not.")
    ] = None,
) -> None:
    """Write what a run changed, a row for each field."""
    _export(slug, ChangeChoice(_run_id(run), record_type, action, waiting), output)


def _code(text: str) -> Code:
    if text.upper() not in set(Code):
        raise typer.BadParameter(f"There is no code {text!r}.", param_hint="'--code'")
    return Code(text.upper())


def _run_id(text: str) -> UUID:
    """The UUID that commands show to people, or the API's id that they print as JSON."""
    try:
        return UUID(text)
    except ValueError:
        # strawberry takes half a second to import, which only this has to wait for.
        from api.graphql.node import find_id  # noqa: PLC0415

        found = find_id(text)
        if found is None:
            raise NotFound("sync run", text) from None
        return found.key


def _export(slug: str, choice: Choice, output: Path | None) -> None:
    write_download(slug, partial(begin_download, choice=choice), output)


def write_download(slug: str, begin: Begin, output: Path | None) -> None:
    if output is None:
        asyncio.run(_write(slug, begin, sys.stdout.buffer))
        return
    # Whoever finds the file finds all of it.
    unfinished = output.with_name(output.name + ".part")
    try:
        with unfinished.open("wb") as file:
            asyncio.run(_write(slug, begin, file))
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    say(f"Written to {output}.")


async def _write(slug: str, begin: Begin, file: BinaryIO) -> None:
    async with opened() as resources:
        database = resources.database
        tenant_id = await tenant_of(database, slug)
        async with database.transaction(tenant_id) as session:
            download = await begin(session, tenant_id=tenant_id, caller=COMMAND_LINE)
        async with aclosing(csv_of(database, download)) as chunks:
            async for chunk in chunks:
                file.write(chunk)
        file.flush()
