"""`homerow sharing`: which part of what its provider shares a tenant takes over."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.console import Console

from api import runs
from api.cli.asking import opened, tenant_of
from api.cli.console import FAILED, CommandError, settings_for_a_person, tell
from api.cli.syncs import wait_for_run
from api.providers import sharing_rules_of
from api.runs import Report
from api.sharing import VALID, preview_rules, save_rules
from api.showing import progress_bar
from api.site import Site, open_site, prepare
from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.integrations.models import SharingSubject
from domain.integrations.sharing import SharingRules, get_sharing_rules
from domain.people.callers import COMMAND_LINE
from domain.roster.records import RecordType

commands = typer.Typer(help="Say which part of what its provider shares a tenant takes over.")

Slug = Annotated[str, typer.Argument(help="The tenant.")]
School = Annotated[list[str] | None, typer.Option(help="Take over this school; may be repeated.")]
Grade = Annotated[list[str] | None, typer.Option(help="Take over this grade; may be repeated.")]
Course = Annotated[list[str] | None, typer.Option(help="Take over this course; may be repeated.")]
Subject = Annotated[list[str] | None, typer.Option(help="Take over this subject; may be repeated.")]
Term = Annotated[list[str] | None, typer.Option(help="Take over this term; may be repeated.")]
Everything = Annotated[
    bool, typer.Option("--everything", help="Take over all that the provider shares: no rules.")
]


@commands.command(epilog="Example: homerow sharing show springfield")
def show(slug: Slug) -> None:
    """Show a tenant's sharing rules."""
    rules = asyncio.run(_read(slug))
    if not rules.values:
        tell("There are no rules: everything that the provider shares is taken over.")
    for subject, values in rules.values.items():
        tell(f"{subject.value}: {', '.join(values)}")


async def _read(slug: str) -> SharingRules:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.read(tenant_id) as session:
            return await get_sharing_rules(session, tenant_id=tenant_id)


@commands.command(epilog="Example: homerow sharing preview springfield --school s1 --grade 3")
def preview(  # noqa: PLR0913 - one for each option
    slug: Slug,
    *,
    school: School = None,
    grade: Grade = None,
    course: Course = None,
    subject: Subject = None,
    term: Term = None,
    everything: Everything = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what sharing rules would add and archive. Nothing is changed.

    Ends with status 1 if the provider's roster could not be read.
    """
    rules = _rules((school, grade, course, subject, term), everything=everything)
    with open_site(settings_for_a_person()) as site:
        found = asyncio.run(_preview(site, slug, rules))
    if as_json:
        answer = {**runs.as_json(found), "leftOut": _left_out(found)}
        tell(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
    else:
        _show(found)
    if found.failure is not None:
        code, message, remedy = found.failure
        raise CommandError(f"The preview failed: {code}: {message} {remedy}", status=FAILED)


def _rules(given: Sequence[list[str] | None], *, everything: bool) -> SharingRules:
    """Raises CommandError where it is not plain what is wanted."""
    rules = [
        (subject, values)
        for subject, values in zip(SharingSubject, given, strict=True)
        if values is not None and values
    ]
    if everything == bool(rules):
        raise CommandError("Give rules such as --school ID, or --everything for none.")
    return sharing_rules_of(rules)


async def _preview(site: Site, slug: str, rules: SharingRules) -> Report:
    await prepare(site)
    async with site.resources(DatabaseRole.API) as resources:
        database = resources.database
        tenant_id = await tenant_of(database, slug)
        async with database.transaction(tenant_id) as session:
            requested = await preview_rules(
                session, tenant_id=tenant_id, rules=rules, caller=COMMAND_LINE, now=utc_now()
            )
        run_id = requested.run.id
        with progress_bar(Console(stderr=True)) as bar:
            await wait_for_run(site, database, tenant_id=tenant_id, run_id=run_id, show=bar)
        return await runs.report(database, tenant_id=tenant_id, run_id=run_id)


def _show(found: Report) -> None:
    for kind in RecordType:
        changes = ", ".join(
            f"{number:,} {name}"
            for name in ("created", "updated", "restored", "archived")
            if (number := found.count(kind, name))
        )
        if changes:
            tell(f"{kind.value}: {changes}")
    for left in _left_out(found):
        if left["count"]:
            tell(f"The rule {left['subject']} leaves out: {left['count']:,} {left['recordType']}")
        if left["unmatched"]:
            unmatched = ", ".join(left["unmatched"])
            tell(f"The rule {left['subject']} names what is not shared: {unmatched}")
    if found.failure is None:
        tell(f"The preview is run {found.run.id}; `homerow sharing set … --preview` takes it.")


def _left_out(found: Report) -> list[dict[str, Any]]:
    """With the names of the GraphQL API."""
    return [
        {
            "subject": left["subject"],
            "recordType": left["record_type"],
            "count": left["count"],
            "unmatched": left.get("unmatched", []),
        }
        for left in found.run.left_out
    ]


@commands.command(
    "set", epilog="Example: homerow sharing set springfield --school s1 --grade 3 --preview RUN"
)
def set_rules(  # noqa: PLR0913 - one for each option
    slug: Slug,
    *,
    school: School = None,
    grade: Grade = None,
    course: Course = None,
    subject: Subject = None,
    term: Term = None,
    everything: Everything = False,
    preview_run: Annotated[
        UUID | None,
        typer.Option(
            "--preview",
            help=f"A preview of these rules, up to {VALID.days} days old: what it showed as "
            "archived is not held.",
        ),
    ] = None,
) -> None:
    """Set a tenant's sharing rules in the place of the former ones, from the next sync on."""
    rules = _rules((school, grade, course, subject, term), everything=everything)
    asyncio.run(_save(slug, rules, preview_run))
    tell(f"The sharing rules of {slug} are set; they hold from the next sync on.")


async def _save(slug: str, rules: SharingRules, preview_run_id: UUID | None) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            await save_rules(
                session,
                tenant_id=tenant_id,
                rules=rules,
                preview_run_id=preview_run_id,
                caller=COMMAND_LINE,
                now=utc_now(),
            )
