"""Undoing a run: what was there before is there again, byte for byte, or nothing is touched."""

import json
from typing import Any
from uuid import UUID

import pytest

from domain.clock import utc_now
from domain.roster.records import RecordType
from domain.roster.source import Provider
from domain.sync.apply import PlanStale
from domain.sync.cancelling import cancel_run
from domain.sync.context import RunContext
from domain.sync.matches import Decision, MatchDecision, resolve_match
from domain.sync.models import SyncMode, SyncRun, SyncRunState
from domain.sync.run import work
from domain.sync.undoing import undo
from tests.api.graphql.seed import add_group, add_school, add_user, insert
from tests.domain.sync.feeds import small_feed
from tests.domain.sync.reverts import (
    ADMINISTRATOR,
    dump,
    request_revert,
    require_as_before,
    require_refused,
    revert,
)
from tests.domain.sync.stories import Story, numbers, totals
from tests.sources import open_source

pytestmark = pytest.mark.anyio


async def archived(story: Story) -> set[str]:
    """The source ids of the people and groups that are archived."""
    return {
        row["source_id"]
        for table in ("users", "groups", "schools", "courses")
        for row in await story.see.fetch(
            f"SELECT source_id FROM {table} WHERE tenant_id = $1 AND archived_at IS NOT NULL",  # noqa: S608 - our own table
            story.tenant_id,
        )
    }


async def two_nights(story: Story) -> None:
    """After them eve and the choir are archived, and ann has settings and progress."""
    district = story.district
    district.group("g3", "Choir", school="s2", termSourcedIds="t1")
    district.user("eve", "eve", orgSourcedIds="s2")
    district.enroll("e6", "eve", "g3", beginDate="2026-09-01")
    await story.night()
    district.classes.take("g3")
    district.users.take("eve")
    district.enrollments.take("e6")
    await story.night()
    users, groups = await story.ids("users"), await story.ids("groups")
    await story.see.execute(
        "INSERT INTO training_settings (tenant_id, user_id) VALUES ($1, $2)",
        story.tenant_id,
        users["ann"],
    )
    for user, group in (("ann", "g1"), ("cid", "g1"), ("eve", "g3")):
        await story.see.execute(
            "INSERT INTO progress (tenant_id, user_id, group_id, school_year)"
            " VALUES ($1, $2, $3, 2026)",
            story.tenant_id,
            users[user],
            groups[group],
        )


async def eventful_night(story: Story) -> SyncRun:
    """Everything that can happen to a roster in a night, happens."""
    district = story.district
    district.school("s3", "West")
    district.course("c2", "Numbers")
    district.group("g4", "Drama", school="s3", courseSourcedId="c2")
    district.users.take("cid")
    district.enrollments.take("e3")
    district.user("fay", "cid", orgSourcedIds="s3")
    district.enroll("e7", "fay", "g4")
    district.orgs.change("s1", name="Far North", identifier="18")
    district.terms.change("t1", endDate="2026-12-20")
    district.classes.change("g1", title="Algebra II", courseSourcedId="c2", schoolSourcedId="s2")
    district.users.change("ann", givenName="Anna", orgSourcedIds="s2", username="anna", grades="10")
    district.users.change("bob", orgSourcedIds="s1,s2")
    district.enrollments.change("e1", endDate="2026-12-20")
    district.enrollments.change("e2", primary="false")
    district.enrollments.change("e5", classSourcedId="g1")
    district.group("g3", "Chamber choir", school="s2", termSourcedIds="t1")
    district.user("eve", "eve", orgSourcedIds="s1", givenName="Evelyn")
    district.enroll("e6", "eve", "g3", beginDate="2026-10-01")
    return await story.night()


async def test_a_night_is_undone_byte_for_byte(story: Story) -> None:
    await two_nights(story)
    before = await dump(story)
    run = await eventful_night(story)
    assert totals(run) == {"created": 6, "updated": 7, "archived": 3, "restored": 3}
    errors = await story.errors("code", "source_id", "runs")
    reverted = await revert(story, run)
    assert (reverted.state, reverted.mode, reverted.reverts_run_id) == (
        SyncRunState.SUCCEEDED,
        SyncMode.REVERT,
        run.id,
    )
    assert await story.errors("code", "source_id", "runs") == errors
    assert totals(reverted) == {"created": 0, "updated": 7, "archived": 9, "restored": 3}
    await require_as_before(story, before, run, reverted)
    assert await archived(story) == {"g3", "eve", "s3", "c2", "g4", "fay"}
    staged = await story.see.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'")
    assert staged == 0


async def test_the_next_night_does_again_what_was_undone(story: Story) -> None:
    await two_nights(story)
    run = await eventful_night(story)
    roster = await story.roster()
    ids = await story.ids("users")
    await revert(story, run)
    again = await story.night()
    assert again.state is run.state
    assert totals(again) == {"created": 0, "updated": 7, "archived": 3, "restored": 9}
    assert await story.roster() == roster
    assert await story.ids("users") == ids
    quiet = await story.night()
    assert totals(quiet) == dict.fromkeys(("created", "updated", "archived", "restored"), 0)


async def test_nothing_happens_after_an_undone_night_that_the_provider_takes_back(
    story: Story,
) -> None:
    await story.night()
    story.district.users.change("ann", givenName="Anna")
    run = await story.night()
    await revert(story, run)
    story.district.users.change("ann", givenName="Ann")
    assert totals(
        await story.night(), "created", "updated", "archived", "restored"
    ) == dict.fromkeys(("created", "updated", "archived", "restored"), 0)


async def test_a_first_night_is_undone_to_nothing_that_is_live(story: Story) -> None:
    run = await story.night()
    reverted = await revert(story, run)
    assert numbers(reverted, RecordType.USER) == {"archived": 4}
    live = [
        await story.see.fetchval(f"SELECT count(*) FROM {table} WHERE archived_at IS NULL")  # noqa: S608 - our own table
        for table in ("schools", "terms", "courses", "groups", "users", "memberships")
    ]
    assert live == [0] * 6
    assert await story.see.fetchval("SELECT rostered_at FROM integrations") is None


async def test_the_undoing_tells_what_it_did(story: Story) -> None:
    await story.night()
    story.district.users.change("ann", givenName="Anna")
    story.district.user("fay", "fay")
    story.district.users.take("cid")
    story.district.enrollments.take("e3")
    run = await story.night()
    reverted = await revert(story, run)
    changes = await story.changes(reverted)
    assert [(*change[:3], change[3], change[4]) for change in changes if change[0] == "USER"] == [
        ("USER", "ann", "UPDATE", {"given_name": "Anna"}, {"given_name": "Ann"}),
        ("USER", "cid", "RESTORE", {}, {}),
        ("USER", "fay", "ARCHIVE", {"archived": False}, {"archived": True}),
    ]
    assert {change[2] for change in changes if change[0] == "MEMBERSHIP"} == {"RESTORE"}
    acts = await story.see.fetch(
        "SELECT actor, target, details::text FROM audit_log WHERE action = 'syncRunRevert'"
    )
    assert [tuple(act) for act in acts] == [
        ("token of Ada", str(run.id), json.dumps({"run_id": str(reverted.id)}))
    ]


async def test_a_worker_that_dies_in_any_phase_leaves_an_undoing_that_another_ends(
    story: Story,
) -> None:
    await two_nights(story)
    before = await story.roster()
    for state in ("FETCHING", "PLANNING", "APPLYING"):
        run = await eventful_night_again(story)
        requested = await request_revert(story, run.id)
        await story.see.execute(
            "UPDATE sync_runs SET state = $2, started_at = now() WHERE id = $1", requested.id, state
        )
        await work(story.worker, open_source, story.keys)
        assert (await story.read_run(requested.id)).state is SyncRunState.SUCCEEDED
        live = {row[0] for row in before["users"] if not row[-2]}
        assert {row[0] for row in (await story.roster())["users"] if not row[-2]} == live


async def test_an_undoing_whose_plan_is_stale_is_planned_again(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_nights(story)
    before = await dump(story)
    run = await eventful_night(story)
    plans = 0

    async def undo_later(context: RunContext) -> None:
        nonlocal plans
        plans += 1
        if plans == 1:
            raise PlanStale
        await undo(context)

    monkeypatch.setattr("domain.sync.run.undo", undo_later)
    reverted = await revert(story, run)
    assert (reverted.state, plans) == (SyncRunState.SUCCEEDED, 2)
    await require_as_before(story, before, run, reverted)
    assert len(await story.changes(reverted)) == 19


async def eventful_night_again(story: Story) -> SyncRun:
    if "fay" in {row["sourcedId"] for row in story.district.users}:
        return await story.night()
    return await eventful_night(story)


async def test_a_paused_integration_can_be_undone(story: Story) -> None:
    run = await story.night()
    await story.see.execute(
        "UPDATE integrations SET status = 'PAUSED', cursors = '{\"USER\": \"x\"}'"
    )
    assert (await revert(story, run)).state is SyncRunState.SUCCEEDED
    # A delta would not say again what was undone.
    assert await story.see.fetchval("SELECT cursors::text FROM integrations") == "{}"


async def add_legacy(story: Story) -> None:
    """A school, two classes and three people from before rostering; cid is archived.

    The North school, the Algebra class, ann and cid are the provider's s1, g1, ann and cid.
    """
    see, tenant_id = story.see, story.tenant_id
    await see.execute(
        "UPDATE integrations SET existing_accounts = 'MATCH_USERNAME', rostered_at = now()"
        " WHERE tenant_id = $1",
        tenant_id,
    )
    school = await add_school(see, tenant_id, origin="LEGACY", name="North", number="17")
    algebra, club = [
        await add_group(see, tenant_id, school, origin="LEGACY", name=name)
        for name in ("Algebra", "Club")
    ]
    names: dict[str, Any] = {"origin": "LEGACY", "given_name": "Old", "is_eligible": False}
    ann, zoe, _ = [
        await add_user(see, tenant_id, **names, username="ANN"),
        await add_user(see, tenant_id, **names, username="zoe"),
        await add_user(see, tenant_id, **names, username="cid", archived_at=utc_now()),
    ]
    for user_id in (ann, zoe):
        await see.execute(
            "INSERT INTO school_affiliations VALUES ($1, $2, $3, 1)", tenant_id, user_id, school
        )
    for user_id, group_id in ((ann, algebra), (ann, club), (zoe, algebra)):
        await insert(
            see,
            "memberships",
            tenant_id=tenant_id,
            user_id=user_id,
            group_id=group_id,
            role="STUDENT",
            origin="LEGACY",
        )
        await insert_progress(story, user_id, group_id)


async def insert_progress(story: Story, user_id: UUID, group_id: UUID) -> None:
    await story.see.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year)"
        " VALUES ($1, $2, $3, 2026)",
        story.tenant_id,
        user_id,
        group_id,
    )


async def test_who_was_there_before_rostering_is_again_who_they_were(story: Story) -> None:
    await add_legacy(story)
    before = await dump(story)
    run = await story.night()
    ann = await story.user("ann")
    assert (ann["origin"], ann["username"], ann["given_name"]) == ("PROVIDER", "ann", "Ann")
    linked = "SELECT record_type, ended_by FROM identity_links ORDER BY record_type, source_id"
    assert [tuple(row) for row in await story.see.fetch(linked)] == [
        ("GROUP", None),
        ("SCHOOL", None),
        ("USER", None),
        ("USER", None),
    ]
    reverted = await revert(story, run)
    assert reverted.state is SyncRunState.SUCCEEDED
    await require_as_before(story, before, run, reverted)
    assert {row["ended_by"] for row in await story.see.fetch(linked)} == {f"run {reverted.id}"}
    await require_refused(story, run.id, "undone already")


async def test_who_got_another_id_has_the_former_one_again(story: Story) -> None:
    await story.connect_to(Provider.ONEROSTER)
    feed = small_feed()
    await story.run(opener=feed.open)
    before = await dump(story)
    feed.change("e1", user_source_id="ann2")
    feed.records = [
        record._replace(source_id="ann2") if record.source_id == "ann" else record
        for record in feed.records
    ]
    await story.run(opener=feed.open)
    match = await story.see.fetchrow("SELECT id, candidate_ids FROM match_candidates")
    async with story.api.transaction(story.tenant_id) as session:
        await resolve_match(
            session,
            tenant_id=story.tenant_id,
            match_id=match["id"],
            decision=Decision(MatchDecision.LINK, UUID(match["candidate_ids"][0])),
            caller=ADMINISTRATOR,
            now=utc_now(),
        )
    run = await story.run(opener=feed.open)
    assert (await story.user("ann2"))["given_name"] == "Ann"
    reverted = await revert(story, run)
    after = await dump(story)
    assert after["users"] == before["users"]
    assert after["memberships"] == before["memberships"]
    assert after["membership_spans"] == before["membership_spans"]
    changes = await story.changes(reverted)
    assert [change[2:] for change in changes if change[0] == "USER"] == [
        ("UPDATE", {"source_id": "ann2"}, {"source_id": "ann"})
    ]
    again = await story.run(opener=feed.open)
    assert again.state.value.startswith("SUCCEEDED")
    assert (await story.user("ann2"))["id"] == UUID(match["candidate_ids"][0])


async def test_what_waited_is_not_undone_with_what_was_applied(story: Story) -> None:
    for number in range(40):
        story.district.user(f"u{number}", f"u{number}")
    await story.night()
    before = await dump(story)
    story.district.users.change("ann", givenName="Anna")
    for number in range(20):
        story.district.users.take(f"u{number}")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED_WITH_HOLD
    assert totals(run) == {"created": 0, "updated": 1, "archived": 0, "restored": 0}
    reverted = await revert(story, run)
    assert totals(reverted) == {"created": 0, "updated": 1, "archived": 0, "restored": 0}
    assert await dump(story) == before


async def test_neither_an_undoing_nor_a_cancelled_run_is_what_a_request_expects_to_read(
    story: Story,
) -> None:
    run = await story.night()
    await revert(story, run)
    requested = await story.request()
    assert requested.run.progress["expected"] == 16
    async with story.api.transaction(story.tenant_id) as session:
        await cancel_run(
            session,
            tenant_id=story.tenant_id,
            run_id=requested.run.id,
            caller=ADMINISTRATOR,
            now=utc_now(),
        )
    assert (await story.request()).run.progress["expected"] == 16
