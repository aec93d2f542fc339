"""A crash of the database empties what was staged: the run ends as it would have."""

from typing import Any

import asyncpg
import pytest

from domain.sync import run as sync_run
from domain.sync.models import SyncRun
from domain.sync.run import work
from tests.builders import named
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.picking import ask_for, read_person, steps_of
from tests.domain.sync.stories import Story
from tests.sources import open_source

pytestmark = pytest.mark.anyio

SILENCE = "UPDATE sync_leases SET heartbeat_at = now() - interval '1 minute'"
PHASES = ("fetch", "validate", "plan", "apply", "summarise")


async def crash(story: Story, monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    """The run that waits comes as far as this phase, whose worker and whose database die."""

    async def die(*_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError

    with monkeypatch.context() as patched:
        patched.setattr(sync_run, phase, die)
        await work(story.worker, open_source, story.keys)
    for row in await story.see.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'staging'"
    ):
        await story.see.execute(f"TRUNCATE staging.{row['tablename']}")
    await story.see.execute(SILENCE)


async def finish(story: Story) -> SyncRun:
    """By the next worker, which finds nothing in staging. Nor does anything stay there."""
    run_id = await work(story.worker, open_source, story.keys)
    assert run_id is not None
    staged = "SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'"
    assert await story.see.fetchval(staged) == 0
    return await story.read_run(run_id)


async def outcome(story: Story, run: SyncRun) -> dict[str, Any]:
    """What is stored, said and counted after the run."""
    return {
        "roster": await story.roster(),
        "changes": await story.changes(run),
        "open": await story.errors("code", "source_id", "found", "runs"),
        "resolved": await story.errors("code", "source_id", "runs", state="RESOLVED"),
        "state": run.state,
        "counts": run.counts,
        "steps": run.steps,
        "failure": run.failure_message,
    }


async def first_night(story: Story) -> None:
    """One student has no username; the next night it is another one.

    That night somebody comes into a class of a school that is not theirs.
    """
    story.district.users.change("cid", username="")
    await story.night()
    story.district.users.change("cid", username="cid")
    story.district.users.change("dee", username="")
    story.district.users.change("ann", familyName="Baker")
    story.district.users.take("bob")
    story.district.user("eve", "eve")
    story.district.enroll("e6", "eve", "g2")


@pytest.mark.parametrize("phase", PHASES)
async def test_a_night_ends_as_usual_wherever_the_database_crashes(
    tell: TellStory, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    calm, story = await tell("calm"), await tell("story")
    for one in (calm, story):
        await first_night(one)
    expected = await outcome(calm, await calm.night())
    assert expected["open"] == [
        ("ENR_SCHOOL_MISMATCH", "g2", "1 student of another school", 1),
        ("ENR_USER_MISSING", "e2", "bob", 1),
        ("ENR_USER_MISSING", "e4", "bob", 1),
        ("USER_LOGIN_MISSING", "dee", "", 1),
    ]
    assert expected["resolved"] == [("ENR_USER_MISSING", "e3", 1), ("USER_LOGIN_MISSING", "cid", 1)]
    story.district.write(story.folder)
    await story.request()
    await crash(story, monkeypatch, phase)
    assert await outcome(story, await finish(story)) == expected


@pytest.mark.parametrize("phase", PHASES)
async def test_a_delta_resolves_what_it_mends_wherever_the_database_crashes(
    story: Story, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    await first_night(story)
    story.district.users.rows = [story.district.users["cid"] | named()]
    story.district.write(story.folder, modes={"users": "delta"})
    await story.request()
    await crash(story, monkeypatch, phase)
    await finish(story)
    assert await story.errors(state="RESOLVED") == [("USER_LOGIN_MISSING", "cid")]
    # What an enrollment lacked comes with the enrollments.
    assert await story.errors() == [("ENR_USER_MISSING", "e3")]


@pytest.mark.parametrize("phase", PHASES)
async def test_what_became_of_one_person_is_told_wherever_the_database_crashes(
    tell: TellStory, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    calm, story = await tell("calm"), await tell("story")
    for one in (calm, story):
        await first_night(one)
        one.district.write(one.folder)
    expected = await read_person(calm, source_id="ann")
    await ask_for(story, source_id="ann")
    await crash(story, monkeypatch, phase)
    run = await finish(story)
    assert steps_of(run) == steps_of(expected)
    assert await story.changes(run) == await calm.changes(expected)
