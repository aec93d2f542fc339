"""What the training product owns is what it was, whatever happens to a roster.

The cases are made from the table of owners (domain.roster.ownership): each field at each level.
Each life sets all of them, goes through what it is about, and tells by name what is not the same.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import pytest
from typing_extensions import override

from domain.clock import utc_now
from domain.models import metadata
from domain.people.callers import COMMAND_LINE
from domain.roster.ownership import LOCAL_TABLES
from domain.roster.records import Course, Enrollment, Group, Record, School, Term, User
from domain.roster.source import Checkpoint, Page, Provider
from domain.sync.cancelling import cancel_run
from domain.sync.models import SyncRun, SyncRunState
from tests.domain.sync.feeds import Feed, student
from tests.domain.sync.local_fields import (
    CASES,
    OWNER_COLUMNS,
    Snapshot,
    Subjects,
    differing,
    find_subjects,
    is_set,
    read_effective,
    read_local,
    read_settings,
)
from tests.domain.sync.local_setting import resulting_settings, set_everything
from tests.domain.sync.matching import approve, pull
from tests.domain.sync.reverts import revert
from tests.domain.sync.stories import Story
from tests.domain.sync.test_provider_switch import switch
from tests.domain.sync.test_year_limits import declare

pytestmark = pytest.mark.anyio

HERE: Final = {"group": ("group", "CHOSEN"), "school": ("school", "CHOSEN"), "is_eligible": False}
"""What the person gets as long as class and school are theirs."""
ASKED: Final = (None, "ASK")
BOOKKEEPING: Final = {
    "training_settings": {"id", "version", "updated_at", "updated_by"},
    "default_places": {"group_set_at", "group_set_by", "school_set_at", "school_set_by"},
    "eligibility_overrides": {"set_at", "set_by"},
    "progress": {"school_year"},
}


def roster() -> Feed:
    """Ann is in Algebra at North and in Biology at South, which is her primary school."""
    groups = [
        Group("g1", "Algebra", "s1", "c1", ("t1",)),
        Group("g2", "Biology", "s2", None, ("t1",)),
        Group("g3", "Choir", "s1", None, ("t1",)),
    ]
    return Feed([
        School("s1", "North", number="100"), School("s2", "South", number="200"),
        Term("t1", "Fall", "term"), Course("c1", "Mathematics"), *groups,
        student("bob", roles=("TEACHER",), school_source_ids=("s1", "s2"), grades=()),
        # Only who teaches as well has a second school.
        student("ann", number="71", school_source_ids=("s2", "s1"), roles=("STUDENT", "TEACHER")),
        student("cid", number="72"), student("dee", number="73", school_source_ids=("s2",)),
        *(Enrollment(f"t{one.source_id}", "bob", one.source_id, "TEACHER") for one in groups),
        Enrollment("e1", "ann", "g1", "STUDENT"), Enrollment("e2", "ann", "g2", "STUDENT"),
        Enrollment("e3", "cid", "g1", "STUDENT"), Enrollment("e4", "dee", "g2", "STUDENT"),
    ])  # fmt: skip


def renewed(feed: Feed) -> Feed:
    """The same at another provider, where everything has another id."""

    def other(record: Record) -> Record:
        keys = (f"sis_id:{record.source_id}",)
        values: dict[str, Any] = {"source_id": f"x-{record.source_id}"}
        match record:
            case Group():
                values |= {
                    "school_source_id": f"x-{record.school_source_id}",
                    "course_source_id": record.course_source_id and f"x-{record.course_source_id}",
                    "term_source_ids": tuple(f"x-{name}" for name in record.term_source_ids),
                    "keys": keys,
                }
            case User():
                schools = tuple(f"x-{name}" for name in record.school_source_ids)
                values |= {"school_source_ids": schools, "keys": keys}
            case Enrollment():
                values["user_source_id"] = f"x-{record.user_source_id}"
                values["group_source_id"] = f"x-{record.group_source_id}"
            case _:
                pass
        return record._replace(**values)

    return Feed([other(record) for record in feed.records])


class Life:
    """A tenant with everything set, and the runs that something was changed by."""

    def __init__(self, story: Story, subjects: Subjects) -> None:
        self.story = story
        self.subjects = subjects
        self.runs: list[SyncRun] = []

    async def night(self, feed: Feed) -> None:
        """A sync of all of it: what waits is approved."""
        run = await pull(self.story, feed)
        assert run.failure_message is None
        if run.state is not SyncRunState.HELD:
            self.runs.append(run)
        if run.state in (SyncRunState.HELD, SyncRunState.SUCCEEDED_WITH_HOLD):
            self.runs.append(await approve(self.story, run, feed))
        assert self.runs[-1].state in (SyncRunState.SUCCEEDED, SyncRunState.SUCCEEDED_WITH_ERRORS)

    async def require(self, before: Snapshot, effective: Mapping[str, Any]) -> None:
        """Everything is what it was, and the person gets what is said here."""
        assert differing(before, await read_local(self.story, self.subjects)) == []
        assert await read_settings(self.story, self.subjects) == resulting_settings()
        found = await read_effective(self.story, self.subjects)
        assert {name: found[name] for name in effective} == effective


async def begin_rostered(story: Story) -> None:
    await story.connect_to(Provider.ONEROSTER)
    await pull(story, roster())


async def begin_legacy(story: Story) -> None:
    """The same people, classes and schools were there before rostering, under no id."""
    await begin_rostered(story)
    see, tenant_id = story.see, story.tenant_id
    for table in ("schools", "groups", "users"):
        await see.execute(
            f"UPDATE {table} SET origin = 'LEGACY', source_id = NULL, content_hash = NULL,"  # noqa: S608 - our own tables
            " created_by_run_id = NULL WHERE tenant_id = $1",
            tenant_id,
        )
    await see.execute("DELETE FROM membership_spans WHERE tenant_id = $1", tenant_id)
    await see.execute("UPDATE memberships SET origin = 'LEGACY' WHERE tenant_id = $1", tenant_id)
    await see.execute(
        "UPDATE integrations SET rostered_at = NULL, existing_accounts = 'MATCH_USERNAME'"
        " WHERE tenant_id = $1",
        tenant_id,
    )


async def first_sync(life: Life) -> None:
    await life.night(roster())
    ann = await life.story.user("ann")
    assert (ann["id"], ann["origin"]) == (life.subjects.user, "PROVIDER")


async def update(life: Life) -> None:
    feed = roster()
    feed.change("s1", name="Far North", number="101", parent_source_id="s2")
    feed.change("g1", name="Algebra II", course_source_id=None, code="A", kind="homeroom",
                period="3", grades=("10",), subjects=("Maths",))  # fmt: skip
    feed.change("ann", username="anna", given_name="Anna", family_name="Bell", number="710",
                email="anna@example.org", grades=("10",), is_enabled=False, is_eligible=False,
                preferred_given_name="A", school_source_ids=("s1", "s2"))  # fmt: skip
    await life.night(feed)
    assert (await life.story.user("ann"))["username"] == "anna"


async def move(life: Life) -> None:
    feed = roster()
    feed.change("e1", group_source_id="g3")
    await life.night(feed)


async def leave_class(life: Life) -> None:
    await life.night(roster().without("e1"))


async def come_back_to_class(life: Life) -> None:
    await leave_class(life)
    await life.night(roster())


async def archive(life: Life) -> None:
    """The person, the class and the school go."""
    feed = roster().without("ann", "e1", "e2", "g1", "tg1", "e3", "s1", "g3", "tg3")
    for name in ("bob", "cid"):
        feed.change(name, school_source_ids=("s2",))
    await life.night(feed)
    rows = [
        await life.story.see.fetchval(f"SELECT archived_at FROM {table} WHERE id = $1", key)  # noqa: S608 - our own tables
        for table, key in (
            ("users", life.subjects.user),
            ("groups", life.subjects.group),
            ("schools", life.subjects.school),
        )
    ]
    assert None not in rows


async def restore(life: Life) -> None:
    await archive(life)
    await life.night(roster())


async def switch_provider(life: Life) -> None:
    await switch(life.story)
    await life.night(renewed(roster()))
    assert (await life.story.user("x-ann"))["id"] == life.subjects.user


async def turn_year(life: Life) -> None:
    """The old class goes and another one comes; the day was declared."""
    await declare(life.story, in_days=0)
    feed = roster().without("g1", "tg1", "e1", "e3")
    feed.records += [
        Group("g9", "Algebra", "s1", "c1", ("t1",)),
        Enrollment("e9", "ann", "g9", "STUDENT"),
    ]
    await life.night(feed)


async def be_cancelled(life: Life) -> None:
    """In the middle of reading, when everything would have been archived."""
    story = life.story

    class Cancelled(Feed):
        @override
        async def pages(self, after: Checkpoint | None = None) -> AsyncIterator[Page]:
            run_id = await story.see.fetchval("SELECT id FROM sync_runs WHERE state = 'FETCHING'")
            async with story.api.transaction(story.tenant_id) as session:
                await cancel_run(
                    session,
                    tenant_id=story.tenant_id,
                    run_id=run_id,
                    caller=COMMAND_LINE,
                    now=utc_now(),
                )
            async for page in super().pages(after):
                yield page

    run = await pull(story, Cancelled(roster().without("ann", "e1", "e2").records))
    assert run.state is SyncRunState.CANCELLED


class Turn(NamedTuple):
    """`effective` is what the person gets after it, as far as that is said."""

    begin: Callable[[Story], Awaitable[None]]
    go: Callable[[Life], Awaitable[None]]
    effective: Mapping[str, Any]


LIVES: Final = {
    "first sync": Turn(begin_legacy, first_sync, HERE),
    "update": Turn(begin_rostered, update, HERE),
    "move": Turn(begin_rostered, move, HERE | {"group": ASKED}),
    "leave": Turn(begin_rostered, leave_class, HERE | {"group": ("other_group", "ONLY_ONE")}),
    "return": Turn(begin_rostered, come_back_to_class, HERE),
    "archive": Turn(begin_rostered, archive, {"group": ASKED, "is_eligible": False}),
    "restore": Turn(begin_rostered, restore, HERE),
    "provider switch": Turn(begin_rostered, switch_provider, HERE),
    "turn of the year": Turn(begin_rostered, turn_year, HERE | {"group": ASKED}),
    "cancelled": Turn(begin_rostered, be_cancelled, HERE),
}


@pytest.mark.parametrize("name", LIVES)
async def test_everything_that_was_set_is_what_it_was(story: Story, name: str) -> None:
    begin, go, effective = LIVES[name]
    await begin(story)
    life = Life(story, await find_subjects(story))
    await set_everything(story, life.subjects)
    before = await read_local(story, life.subjects)
    assert [case for case in CASES if not is_set(before.get(case))] == []
    await life.require(before, HERE)
    await go(life)
    await life.require(before, effective)
    for run in reversed(life.runs):
        undone = await revert(story, run)
        assert (undone.state, undone.failure_message) == (SyncRunState.SUCCEEDED, None)
        await life.require(before, {})
    if life.runs:
        await life.require(before, HERE)


def test_what_is_not_the_same_is_told_by_name() -> None:
    first, *others = CASES
    before = dict.fromkeys(CASES, 1)
    assert differing(before, dict(before)) == []
    assert differing(before, before | {first: 2}) == [(first, 1, 2)]
    assert differing(before, dict.fromkeys(others, 1)) == [(first, 1, None)]
    assert differing(dict.fromkeys(others, 1), before) == [(first, None, 1)]


def test_every_column_beside_the_roster_is_a_case_or_bookkeeping() -> None:
    assert BOOKKEEPING.keys() == LOCAL_TABLES.keys()
    for table, fields in LOCAL_TABLES.items():
        columns = {column.name for column in metadata.tables[table].columns}
        owners = set(OWNER_COLUMNS[table])
        assert {"tenant_id"} | owners | BOOKKEEPING[table] | set(fields) == columns, table


def test_settings_are_set_at_every_level_that_the_table_has_a_column_for() -> None:
    levels = {case.level for case in CASES if case.table == "training_settings"}
    owners = {name.removesuffix("_id") for name in OWNER_COLUMNS["training_settings"]}
    assert levels == {"tenant"} | owners
