"""When a run is not undone: where that would undo more than the run did."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from domain.clock import new_id, utc_now
from domain.errors import NotFound
from domain.sync.models import SyncRunState
from domain.sync.run import work
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.reverts import (
    dump,
    request_revert,
    require_refused,
    revert,
)
from tests.domain.sync.stories import Story
from tests.sources import open_source

pytestmark = pytest.mark.anyio


async def test_what_has_changed_nothing_is_not_undone(story: Story) -> None:
    await story.night()
    preflight = await story.preview()
    await require_refused(story, preflight.id, "the preflight ended SUCCEEDED")
    quiet = await story.night()
    await require_refused(story, quiet.id, "the run changed nothing")
    for state in ("HELD", "FAILED", "CANCELLED"):
        await story.see.execute("UPDATE sync_runs SET state = $2 WHERE id = $1", quiet.id, state)
        await require_refused(story, quiet.id, f"the run ended {state}")
    with pytest.raises(NotFound):
        await request_revert(story, new_id())


async def test_a_run_is_undone_once_and_its_undoing_is_not_undone(story: Story) -> None:
    run = await story.night()
    reverted = await revert(story, run)
    await require_refused(story, run.id, f"undone already, by run {reverted.id}")
    await require_refused(story, reverted.id, "This run has undone another one")


async def test_nothing_is_undone_while_another_run_waits_or_is_under_way(story: Story) -> None:
    run = await story.night()
    waiting = await story.request()
    await require_refused(story, waiting.run.id, "The run is not over yet")
    await require_refused(story, run.id, "A run of mode FULL is waiting or under way")


async def test_what_was_changed_is_kept_for_so_long_only(story: Story) -> None:
    run = await story.night()
    async with story.worker.transaction() as session:
        dropped = await session.scalar(
            text("SELECT drop_sync_changes(:before)"), {"before": utc_now() + timedelta(days=99)}
        )
    assert dropped == 2
    await require_refused(story, run.id, "not kept any more")


async def test_what_later_runs_have_changed_is_not_undone(story: Story) -> None:
    await story.night()
    for name in ("ann", "bob", "cid", "dee"):
        story.district.users.change(name, familyName="Bowyer")
    run = await story.night()
    story.district.users.change("ann", grades="10")
    later = await story.night()
    await require_refused(story, run.id, "^1 record has changed since.*: USER ann. Undo the later")
    for name in ("bob", "cid", "dee"):
        story.district.users.change(name, familyName="Cooper")
    last = await story.night()
    await require_refused(
        story, run.id, r"^4 records have changed .*: USER ..., USER ..., USER ..., 1 more\."
    )
    for each in (last, later, run):
        assert (await revert(story, each)).state is SyncRunState.SUCCEEDED
    ann = await story.user("ann")
    assert (ann["family_name"], ann["grades"]) == ("Archer", ["09"])


async def test_later_runs_that_have_changed_others_do_not_matter(story: Story) -> None:
    await story.night()
    story.district.users.change("ann", givenName="Anna")
    run = await story.night()
    story.district.users.change("dee", givenName="Deirdre")
    story.district.user("fay", "fay")
    await story.night()
    await revert(story, run)
    rows = [(await story.user(name))["given_name"] for name in ("ann", "dee", "fay")]
    assert rows == ["Ann", "Deirdre", "Fay"]


async def test_what_later_runs_have_put_into_a_new_group_is_not_left_without_it(
    story: Story,
) -> None:
    await story.night()
    story.district.group("g3", "Choir", school="s1")
    run = await story.night()
    story.district.enroll("e6", "ann", "g3")
    await story.night()
    await require_refused(story, run.id, "^1 record has .*: MEMBERSHIP ann in g3.")


async def test_nobody_comes_back_into_a_group_that_has_gone_since(story: Story) -> None:
    await story.night()
    taken = story.district.enrollments.take("e5")
    run = await story.night()
    story.district.classes.take("g2")
    story.district.enrollments.take("e4")
    await story.night()
    await require_refused(story, run.id, "^1 record has .*: MEMBERSHIP dee in g2.")
    assert taken["classSourcedId"] == "g2"


async def test_nobody_comes_back_to_a_username_that_is_taken(story: Story) -> None:
    await story.night()
    story.district.users.take("cid")
    story.district.enrollments.take("e3")
    run = await story.night()
    story.district.user("fay", "CID")
    await story.night()
    await require_refused(story, run.id, "^1 record has .*: USER cid.")


async def test_people_who_were_made_one_since_are_not_undone(story: Story) -> None:
    await story.night()
    story.district.users.change("ann", givenName="Anna")
    run = await story.night()
    users = await story.ids("users")
    await story.see.execute(
        "INSERT INTO people_merges (tenant_id, kept_id, merged_id, created_by)"
        " VALUES ($1, $2, $3, 'x')",
        story.tenant_id,
        users["ann"],
        users["cid"],
    )
    await require_refused(story, run.id, "^1 record has .*: USER ann.")
    await story.see.execute("UPDATE people_merges SET undone_at = now()")
    assert (await revert(story, run)).state is SyncRunState.SUCCEEDED


async def test_what_has_changed_while_the_undoing_waited_fails_it(story: Story) -> None:
    await story.night()
    story.district.users.change("ann", givenName="Anna")
    run = await story.night()
    requested = await request_revert(story, run.id)
    await story.see.execute("UPDATE users SET archived_at = now() WHERE source_id = 'ann'")
    before = await dump(story)
    await work(story.worker, open_source, story.keys)
    failed = await story.read_run(requested.id)
    assert (failed.state, failed.failure_code) == (SyncRunState.FAILED, "RUN_REVERT_REFUSED")
    assert failed.failure_message is not None
    assert failed.failure_message.startswith("1 record has changed since")
    assert await dump(story) == before
    assert await story.changes(failed) == []
    await story.see.execute("UPDATE users SET archived_at = NULL WHERE source_id = 'ann'")
    assert (await revert(story, run)).state is SyncRunState.SUCCEEDED


async def test_another_tenant_s_run_is_not_there(story: Story, tell: TellStory) -> None:
    other = await tell("beta")
    run = await other.night()
    with pytest.raises(NotFound):
        await request_revert(story, run.id)
