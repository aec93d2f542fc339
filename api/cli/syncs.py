"""`homerow sync`: asks for a run, and waits for it or does it here."""

import asyncio
from contextlib import ExitStack
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

import orjson
import typer
from rich.console import Console

from api import runs
from api.cli.asking import tenant_of
from api.cli.console import FAILED, HELD, CommandError, say, settings_for_a_person, tell
from api.local import find_running
from api.preflights import read_names, tell_report
from api.processes import require_alive, worker_process
from api.runs import COUNTED, Report, Show, Wanted, chain
from api.showing import progress_bar
from api.site import Site, open_site, prepare
from domain.clock import utc_now
from domain.database import Database, DatabaseRole
from domain.roster.records import RecordType
from domain.sync.models import SyncMode, SyncRun, SyncRunState
from domain.sync.targets import PersonWanted

_NUMBER = "number:"
HINT_AFTER = timedelta(seconds=5)
_ENDS_BADLY = {
    SyncRunState.FAILED: FAILED,
    SyncRunState.CANCELLED: FAILED,
    SyncRunState.HELD: HELD,
}

commands = typer.Typer()


class Mode(StrEnum):
    """The modes that are offered, as they are typed."""

    FULL = "full"
    DELTA = "delta"
    PREFLIGHT = "preflight"


class Doing(StrEnum):
    """What the command does after it has asked for the run."""

    NOTHING = "nothing"
    WAITING = "waiting"
    WORKING = "working"

    @classmethod
    def of(cls, *, wait: bool, here: bool) -> Self:
        return cls.WORKING if here else cls.WAITING if wait else cls.NOTHING


@commands.command(epilog="Example: homerow sync springfield --wait")
def sync(
    slug: Annotated[str, typer.Argument(help="The tenant.")],
    mode: Annotated[
        Mode,
        typer.Option(
            help="full compares everything; delta takes only what has changed; preflight shows "
            "what a full sync would do, and changes nothing."
        ),
    ] = Mode.FULL,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Read this one person only: the provider's id, or number: and the number.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run has ended.")] = False,
    here: Annotated[
        bool, typer.Option("--here", help="Do the worker's part in this process.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Start a sync of a tenant, or join the one that waits or runs already.

    Ends with status 1 if the run failed, and with 3 if it waits for an administrator's approval.
    """
    wanted = SyncMode[mode.name] if user is None else _person(user)
    ask_for(slug, wanted, doing=Doing.of(wait=wait, here=here), as_json=as_json)


def ask_for(slug: str, wanted: Wanted, *, doing: Doing, as_json: bool) -> None:
    """Ask for a run, see to it as far as is wished, and tell how it went."""
    with open_site(settings_for_a_person()) as site:
        found, lines = asyncio.run(_sync(site, slug, wanted=wanted, doing=doing))
    if as_json:
        tell(orjson.dumps(runs.as_json(found), option=orjson.OPT_INDENT_2).decode())
    elif found.run.finished_at is None:
        tell(f"The run {found.run.id} is {found.run.state.value}.")
    elif found.run.state not in _ENDS_BADLY:
        tell(_sentence(slug, found))
        for line in lines:
            tell(line)
    _judge(slug, found)


def _person(word: str) -> PersonWanted:
    number = word.removeprefix(_NUMBER)
    return PersonWanted(number=number) if number != word else PersonWanted(source_id=word)


async def _sync(site: Site, slug: str, *, wanted: Wanted, doing: Doing) -> tuple[Report, list[str]]:
    """The run, and what a preflight or the reading of one person has to tell."""
    await prepare(site)
    role = DatabaseRole.WORKER if doing is Doing.WORKING else DatabaseRole.API
    async with site.resources(role) as resources:
        database = resources.database
        tenant_id = await tenant_of(database, slug)
        requested = await runs.request(database, tenant_id=tenant_id, wanted=wanted)
        if requested.joined:
            say("A run of this mode was there already: this is that one.")
        run_id = requested.run.id
        if doing is Doing.NOTHING:
            _warn_of_idleness(site)
        else:
            with progress_bar(Console(stderr=True)) as show:
                if doing is Doing.WORKING:
                    await runs.work_here(resources, tenant_id=tenant_id, run_id=run_id, show=show)
                else:
                    await wait_for_run(
                        site, database, tenant_id=tenant_id, run_id=run_id, show=show
                    )
        found = await runs.report(database, tenant_id=tenant_id, run_id=run_id)
        steps = [
            f"{step['name']}: {step['outcome']}: {step['message']}" for step in found.run.steps
        ]
        return found, [*steps, *await _tell_preflight(database, found.run)]


async def _tell_preflight(database: Database, run: SyncRun) -> list[str]:
    if not run.report:
        return []
    named = await read_names(database, tenant_id=run.tenant_id, run_id=run.id)
    lines = list(tell_report(run.report, named))
    if run.target is None:
        lines.append(f"The preflight is run {run.id}; `homerow onboarding approve` takes it.")
    return lines


async def wait_for_run(
    site: Site, database: Database, *, tenant_id: UUID, run_id: UUID, show: Show
) -> None:
    """Whose servers are embedded knows all workers: if there is none, one runs meanwhile.

    With servers of one's own they may be anywhere; then there is only a hint to give.
    """
    with ExitStack() as stack:
        if _has_no_worker(site):
            worker = stack.enter_context(worker_process(site))
            show = chain(show, lambda _: require_alive(worker))
        elif not site.is_embedded:
            show = chain(show, hint_when_queued())
        await runs.follow(database, tenant_id=tenant_id, run_id=run_id, show=show)


def _has_no_worker(site: Site) -> bool:
    return site.is_embedded and find_running(site.settings.data_dir) is None


def _warn_of_idleness(site: Site) -> None:
    if _has_no_worker(site):
        say("No worker is running: the run waits for `homerow up`, or for --wait or --here.")


def hint_when_queued() -> Show:
    """Says once that nobody takes the run, if that is so."""
    has_hinted = False

    def show(run: SyncRun) -> None:
        nonlocal has_hinted
        is_late = run.state is SyncRunState.QUEUED and utc_now() - run.requested_at > HINT_AFTER
        if is_late and not has_hinted:
            has_hinted = True
            say("No worker has taken the run yet. Is there one (`homerow worker`)? Or use --here.")

    return show


def _sentence(slug: str, of: Report) -> str:
    changes = ", ".join(
        f"{total:,} {name}"
        for name in COUNTED[1:5]
        if (total := sum(of.count(kind, name) for kind in RecordType))
    )
    if of.run.mode is SyncMode.PREFLIGHT:
        changes = f"nothing changed (a sync would: {changes or 'nothing'})"
    return (
        f"{slug}: {of.run.state.value} in {of.seconds:.1f} s, {of.read:,} records read,"
        f" {changes or 'nothing changed'}, {sum(of.errors.values()):,} errors.{_waiting(slug, of)}"
    )


def _waiting(slug: str, of: Report) -> str:
    held = sum(of.count(kind, "held") for kind in RecordType)
    if of.run.state is not SyncRunState.SUCCEEDED_WITH_HOLD:
        return ""
    return f" {held:,} changes wait for an administrator: homerow hold show {slug}"


def _judge(slug: str, of: Report) -> None:
    """Ends the command with a line and a status if the run did not do what it was asked to."""
    status = _ENDS_BADLY.get(of.run.state)
    if status is None:
        return
    if of.failure is not None:
        code, message, remedy = of.failure
        raise CommandError(f"The sync of {slug} failed: {code}: {message} {remedy}", status=status)
    if of.run.state is SyncRunState.HELD:
        raise CommandError(
            f"The sync of {slug} is held: nothing was changed. See `homerow hold show {slug}`.",
            status=status,
        )
    raise CommandError(f"The sync of {slug} was cancelled.", status=status)
