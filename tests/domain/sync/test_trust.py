"""What an administrator is promised: nothing much goes unasked, and all that goes can come back."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg
import pytest

from domain.clock import utc_now
from domain.errors import Conflict
from domain.people.callers import COMMAND_LINE
from domain.roster.records import Course, Enrollment, Group, Record, RecordType, School, Term
from domain.roster.source import Provider
from domain.sync.holds import approve_run
from domain.sync.models import SyncRun, SyncRunState
from domain.sync.run import work
from tests.domain.sync.feeds import Feed, student
from tests.domain.sync.stories import Story, numbers, read_places

pytestmark = pytest.mark.anyio

STUDENTS = 1000


@pytest.fixture
async def rostered(story: Story) -> Story:
    await story.connect_to(Provider.ONEROSTER)
    return story


def large_feed(gone: Sequence[int] = (), count: int = STUDENTS) -> Feed:
    """So many students of one school, twenty-five in each class, but for those who are gone."""
    classes = range(0, count, 25)
    records: list[Record] = [
        School("s1", "North"),
        Term("t1", "This year", "term"),
        Course("c1", "Typing"),
        *(Group(f"g{n}", f"Class {n}", "s1", "c1", ("t1",)) for n in classes),
        student("teacher", roles=("TEACHER",), grades=()),
        *(Enrollment(f"t{n}", "teacher", f"g{n}", "TEACHER") for n in classes),
    ]
    missing = set(gone)
    for n in range(count):
        if n not in missing:
            records += [student(f"u{n}"), Enrollment(f"e{n}", f"u{n}", f"g{n - n % 25}", "STUDENT")]
    return Feed(records)


async def pull(story: Story, feed: Feed) -> SyncRun:
    run = await story.run(opener=feed.open)
    assert run.failure_message is None
    return run


async def approve(story: Story, held: SyncRun, feed: Feed) -> SyncRun:
    async with story.api.transaction(story.tenant_id) as session:
        requested = await approve_run(
            session,
            tenant_id=story.tenant_id,
            run_id=held.id,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
    assert await work(story.worker, feed.open, story.keys) == requested.run.id
    return await story.read_run(requested.run.id)


async def archived(story: Story) -> set[str]:
    rows = await story.see.fetch(
        "SELECT source_id FROM users WHERE tenant_id = $1 AND archived_at IS NOT NULL",
        story.tenant_id,
    )
    return {row["source_id"] for row in rows}


def names(places: Sequence[int]) -> set[str]:
    return {f"u{n}" for n in places}


async def open_holds(story: Story) -> list[UUID]:
    rows = await story.see.fetch(
        "SELECT run_id FROM holds WHERE tenant_id = $1 AND ended_at IS NULL", story.tenant_id
    )
    return [row["run_id"] for row in rows]


async def test_of_thirty_percent_nobody_goes_until_it_is_approved(rostered: Story) -> None:
    gone = range(300)
    await pull(rostered, large_feed())
    for held in [await pull(rostered, large_feed(gone)) for _ in range(2)]:
        assert held.state is SyncRunState.HELD
        assert held.counts["USER"]["held"] == 300
        assert held.counts["USER"]["archived"] == 0
        assert await archived(rostered) == set()
    [waiting] = await open_holds(rostered)
    held = await rostered.read_run(waiting)
    approved = await approve(rostered, held, large_feed(gone))
    assert approved.state is SyncRunState.SUCCEEDED
    assert numbers(approved, RecordType.USER) == {"archived": 300, "unchanged": 701}
    assert await archived(rostered) == names(gone)
    assert await open_holds(rostered) == []


async def test_an_approval_of_three_hundred_does_not_let_one_more_go(rostered: Story) -> None:
    await pull(rostered, large_feed())
    held = await pull(rostered, large_feed(range(300)))
    approved = await approve(rostered, held, large_feed(range(301)))
    assert approved.state is SyncRunState.SUCCEEDED_WITH_HOLD
    assert approved.counts["USER"]["archived"] == 300
    assert approved.counts["USER"]["held"] == 1
    assert await archived(rostered) == names(range(300))
    assert await open_holds(rostered) == [approved.id]


async def test_an_approval_of_three_hundred_does_not_let_others_go(rostered: Story) -> None:
    await pull(rostered, large_feed())
    held = await pull(rostered, large_feed(range(300)))
    others = range(600, 900)
    approved = await approve(rostered, held, large_feed(others))
    assert approved.state is SyncRunState.HELD
    assert approved.counts["USER"]["held"] == 300
    assert await archived(rostered) == set()
    again = await approve(rostered, approved, large_feed(others))
    assert again.state is SyncRunState.SUCCEEDED
    assert await archived(rostered) == names(others)


async def test_a_plan_that_is_gone_cannot_be_approved(rostered: Story) -> None:
    await pull(rostered, large_feed(count=100))
    held = await pull(rostered, large_feed(range(30), count=100))
    later = await pull(rostered, large_feed(range(40), count=100))
    with pytest.raises(Conflict, match="This plan is gone"):
        await approve(rostered, held, large_feed(range(30), count=100))
    assert await archived(rostered) == set()
    assert await open_holds(rostered) == [later.id]


async def test_creates_and_updates_go_on_while_archives_wait(rostered: Story) -> None:
    await pull(rostered, large_feed(count=100))
    feed = large_feed(range(30), count=100)
    feed.change("u50", given_name="Renamed")
    feed.records += [student("new"), Enrollment("n1", "new", "g50", "STUDENT")]
    run = await pull(rostered, feed)
    assert run.state is SyncRunState.SUCCEEDED_WITH_HOLD
    assert {name: run.counts["USER"][name] for name in ("created", "updated", "archived")} == {
        "created": 1, "updated": 1, "archived": 0
    }  # fmt: skip
    assert run.counts["USER"]["held"] == 30
    assert (await rostered.user("u50"))["given_name"] == "Renamed"
    assert (await rostered.user("new"))["archived_at"] is None
    assert ("new", "g50", "STUDENT") in await rostered.membership_ids()
    assert await archived(rostered) == set()
    places = await read_places(rostered.see)
    assert (await pull(rostered, feed)).state is SyncRunState.HELD
    assert await read_places(rostered.see) == places


async def test_a_hold_ends_by_itself_when_a_later_run_is_within_limits(rostered: Story) -> None:
    await pull(rostered, large_feed(count=100))
    held = await pull(rostered, large_feed(range(30), count=100))
    assert await open_holds(rostered) == [held.id]
    run = await pull(rostered, large_feed(range(5), count=100))
    assert run.state is SyncRunState.SUCCEEDED
    assert await archived(rostered) == names(range(5))
    assert await open_holds(rostered) == []
    ended_by = await rostered.see.fetchval("SELECT ended_by FROM holds WHERE run_id = $1", held.id)
    assert ended_by == f"run {run.id}"


class Local(NamedTuple):
    """Rows as text, and ids: byte for byte."""

    rows: list[str]
    ids: dict[str, UUID]
    memberships: dict[tuple[str, str, str], UUID]


async def local_of(story: Story) -> Local:
    return Local(
        [
            row[0]
            for table in ("training_settings", "progress")
            for row in await story.see.fetch(f"SELECT t::text FROM {table} t ORDER BY 1")  # noqa: S608 - our own tables
        ],
        await story.ids("users"),
        await story.membership_ids(),
    )


async def train(see: asyncpg.Connection, tenant_id: UUID) -> None:
    """Settings of every person, group and school, and progress in every membership."""
    for column, table in (("user_id", "users"), ("group_id", "groups"), ("school_id", "schools")):
        await see.execute(
            f"INSERT INTO training_settings (tenant_id, {column}, speed_target, keyboard_layout)"  # noqa: S608 - our own tables
            f" SELECT tenant_id, id, 40, 'dvorak' FROM {table} WHERE tenant_id = $1",
            tenant_id,
        )
    await see.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons, seconds,"
        " best_speed, last_active_at)"
        " SELECT tenant_id, user_id, group_id, 2026, 7, 3600, 55, now()"
        " FROM memberships WHERE tenant_id = $1",
        tenant_id,
    )


async def test_who_is_gone_for_three_nights_comes_back_with_everything(rostered: Story) -> None:
    await pull(rostered, large_feed(count=200))
    await train(rostered.see, rostered.tenant_id)
    before, roster = await local_of(rostered), await rostered.roster()
    assert len(before.rows) == 201 + 8 + 1 + 208
    for _ in range(3):
        run = await pull(rostered, large_feed(range(8), count=200))
        assert run.state is SyncRunState.SUCCEEDED
        assert await archived(rostered) == names(range(8))
        assert await local_of(rostered) == before
    back = await pull(rostered, large_feed(count=200))
    assert numbers(back, RecordType.USER) == {"restored": 8, "unchanged": 193}
    assert numbers(back, RecordType.MEMBERSHIP) == {"restored": 8, "unchanged": 200}
    assert await local_of(rostered) == before
    assert await rostered.roster() == roster


async def test_groups_past_their_end_date_do_not_trip_limits(rostered: Story) -> None:
    feed = large_feed(count=600)
    await pull(rostered, feed)
    assert len(await rostered.ids("groups")) == 24
    await rostered.see.execute("UPDATE groups SET ends_on = '2020-06-30' WHERE source_id <> 'g0'")
    kept = [
        record
        for record in feed.records
        if not (isinstance(record, Group) and record.source_id != "g0")
        and not (isinstance(record, Enrollment) and record.group_source_id != "g0")
    ]
    run = await pull(rostered, Feed(kept))
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.GROUP) == {"archived": 23, "unchanged": 1}
    assert numbers(run, RecordType.MEMBERSHIP)["archived"] == 23 * 26
    assert await open_holds(rostered) == []


async def test_groups_of_this_year_do_trip_them(rostered: Story) -> None:
    feed = large_feed(count=600)
    await pull(rostered, feed)
    run = await pull(rostered, feed.without(*(f"g{n}" for n in range(25, 600, 25))))
    assert run.state is SyncRunState.HELD
    assert run.counts["GROUP"]["held"] == 23
    assert run.counts["MEMBERSHIP"]["held"] == 23 * 26


async def test_a_student_who_becomes_staff_waits_with_all_they_would_get(rostered: Story) -> None:
    await pull(rostered, large_feed(count=50))
    before = await rostered.roster()
    feed = large_feed(count=50)
    feed.change("u7", roles=("TEACHER",), given_name="Promoted")
    feed.change("e7", role="TEACHER")
    held = await pull(rostered, feed)
    assert held.state is SyncRunState.HELD
    assert await rostered.roster() == before
    approved = await approve(rostered, held, feed)
    assert approved.state is SyncRunState.SUCCEEDED
    user = await rostered.user("u7")
    assert (user["roles"], user["given_name"]) == (["TEACHER"], "Promoted")
    rows = [row for row in (await rostered.roster())["memberships"] if row[0] == "u7"]
    assert rows == [("u7", "g0", "STUDENT", True), ("u7", "g0", "TEACHER", False)]


async def test_every_school_that_vanishes_waits_however_many_there_are(rostered: Story) -> None:
    schools = [School(f"s{n}", f"School {n}") for n in range(300)]
    pupils = [student(f"u{n}", school_source_ids=(f"s{n}",)) for n in range(300)]
    feed = large_feed(count=0)
    feed.records += [*schools[2:], *pupils[2:]]
    await pull(rostered, feed)
    gone = range(2, 27)
    run = await pull(rostered, feed.without(*(f"{c}{n}" for c in "su" for n in gone)))
    for name in ("SCHOOL", "USER"):
        assert (run.counts[name]["archived"], run.counts[name]["held"]) == (0, 25)
    assert await archived(rostered) == set()


async def test_who_goes_takes_memberships_along_that_wait(rostered: Story) -> None:
    feed = large_feed(count=50)
    await pull(rostered, feed)
    kept = feed.without(
        *(record.source_id for record in feed.records if isinstance(record, Enrollment))
    )
    run = await pull(rostered, kept.without("u7"))
    assert run.counts["MEMBERSHIP"]["archived"] == 1
    assert run.counts["MEMBERSHIP"]["held"] == 51
    assert await archived(rostered) == {"u7"}
    left = (
        "SELECT count(*) FROM memberships m JOIN users u ON u.id = m.user_id"
        " WHERE m.archived_at IS NULL AND u.archived_at IS NOT NULL"
    )
    assert await rostered.see.fetchval(left) == 0


async def test_a_licence_is_not_kept_for_who_waits_anyway(rostered: Story) -> None:
    await pull(rostered, large_feed(count=40))
    await rostered.see.execute("UPDATE subscriptions SET licence_limit = 41")
    feed = large_feed(range(20), count=40)
    feed.records += [student("named", username="u0"), student("new")]
    run = await pull(rostered, feed)
    assert (run.counts["USER"]["created"], run.counts["USER"]["held"]) == (1, 21)
    assert await rostered.user("new") is not None


async def test_who_waits_gives_no_licence_back(rostered: Story) -> None:
    await pull(rostered, large_feed(count=40))
    await rostered.see.execute("UPDATE subscriptions SET licence_limit = 40")
    feed = large_feed(range(20), count=40)
    feed.change("u30", username="u0", is_enabled=False)
    feed.records += [student("new")]
    run = await pull(rostered, feed)
    assert run.state is SyncRunState.HELD
    assert await rostered.user("new") is None


async def test_of_a_run_that_fails_nothing_waits_and_nothing_counts_as_done(
    rostered: Story,
) -> None:
    await pull(rostered, large_feed(count=40))
    feed = large_feed(range(20), count=40)
    feed.change("u30", given_name="Renamed")
    await rostered.see.execute(
        "ALTER TABLE users ADD CONSTRAINT is_broken CHECK (given_name <> 'Renamed') NOT VALID"
    )
    try:
        run = await rostered.run(opener=feed.open)
    finally:
        await rostered.see.execute("ALTER TABLE users DROP CONSTRAINT is_broken")
    assert run.state is SyncRunState.FAILED
    assert (run.counts["USER"]["updated"], run.counts["USER"]["held"]) == (0, 0)
    assert await open_holds(rostered) == []
    assert await rostered.changes(run) == []
