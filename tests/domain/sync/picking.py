"""Asking for records by name, for tests of runs that do."""

from uuid import UUID

from domain.clock import utc_now
from domain.people.callers import COMMAND_LINE
from domain.roster.source import SourceOpener
from domain.sync.models import SyncRun
from domain.sync.run import work
from domain.sync.service import Requested
from domain.sync.targets import (
    Chosen,
    PersonWanted,
    Revalidated,
    request_revalidation,
    request_user_run,
)
from domain.validation.codes import Code
from tests.domain.sync.stories import Story
from tests.sources import open_source


async def ask_for(
    story: Story,
    *,
    user_id: UUID | None = None,
    source_id: str | None = None,
    number: str | None = None,
) -> Requested:
    async with story.api.transaction(story.tenant_id) as session:
        return await request_user_run(
            session,
            tenant_id=story.tenant_id,
            wanted=PersonWanted(user_id, source_id, number),
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def read_person(
    story: Story,
    *,
    opener: SourceOpener = open_source,
    user_id: UUID | None = None,
    source_id: str | None = None,
    number: str | None = None,
) -> SyncRun:
    """From what lies in the folder, or what the opener gives."""
    requested = await ask_for(story, user_id=user_id, source_id=source_id, number=number)
    assert await work(story.worker, opener, story.keys) == requested.run.id
    return await story.read_run(requested.run.id)


async def ask_again(
    story: Story, *ids: UUID, code: Code | None = None, is_all: bool = False
) -> Revalidated:
    async with story.api.transaction(story.tenant_id) as session:
        return await request_revalidation(
            session,
            tenant_id=story.tenant_id,
            chosen=Chosen(ids, code, is_all),
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def revalidate(
    story: Story,
    *ids: UUID,
    code: Code | None = None,
    is_all: bool = False,
    opener: SourceOpener = open_source,
) -> SyncRun:
    done = await ask_again(story, *ids, code=code, is_all=is_all)
    assert done.requested is not None
    assert await work(story.worker, opener, story.keys) == done.requested.run.id
    return await story.read_run(done.requested.run.id)


def steps_of(run: SyncRun) -> dict[str, tuple[str, str]]:
    """Outcome and message by name."""
    return {step["name"]: (step["outcome"], step["message"]) for step in run.steps}


def outcomes_of(run: SyncRun) -> list[str]:
    return [step["outcome"] for step in run.steps]
