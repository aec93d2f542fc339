"""Ids that were made anew: a re-keying that waits for approval, not a deletion."""

from datetime import date
from typing import Any

import pytest

from domain.roster.records import Course, Enrollment, Group, RecordType, School, Term, User
from domain.roster.source import Provider
from domain.sync.models import SyncMode, SyncRun, SyncRunState
from tests.domain.sync.feeds import Feed, student
from tests.domain.sync.matching import NOTHING, approve, candidates, former_ids, links, pull
from tests.domain.sync.stories import Story, numbers, read_places, totals

pytestmark = pytest.mark.anyio

SIZE = 10
"""People, groups and schools alike, so that shares are easy to see."""


def district() -> Feed:
    """Ten schools, each with a group and a student in it; students have a number and a key."""
    feed = Feed([Term("t1", "Fall", "term"), Course("c1", "Mathematics")])
    for n in range(SIZE):
        feed.records += [
            School(f"s{n}", f"School {n}", number=f"N{n}"),
            Group(f"g{n}", f"Algebra {n}", f"s{n}", "c1", ("t1",), code=f"A{n}"),
            student(f"u{n}", school_source_ids=(f"s{n}",), given_name=f"Given {n}",
                    number=f"{n}", keys=(f"sis_id:{n}",)),
            Enrollment(f"e{n}", f"u{n}", f"g{n}", "STUDENT"),
        ]  # fmt: skip
    return feed


def renamed(feed: Feed, *letters: str, most: int = SIZE, **values: Any) -> Feed:
    """The ids with these letters begin with an x now, of the first `most` of each type.

    `values` are other fields of the renamed people.
    """

    def following(source_id: str) -> str:
        is_meant = source_id[0] in letters and int(source_id[1:]) < most
        return f"x{source_id}" if is_meant else source_id

    records: list[Any] = []
    for record in feed.records:
        changed = {
            name: following(value)
            for name in ("source_id", "school_source_id", "user_source_id", "group_source_id")
            if (value := getattr(record, name, None))
        }
        if isinstance(record, User):
            schools = tuple(map(following, record.school_source_ids))
            changed |= {"school_source_ids": schools}  # type: ignore[dict-item]
            changed |= values if changed["source_id"] != record.source_id else {}
        records.append(record._replace(**changed))
    return Feed(records)


@pytest.fixture
async def synced(story: Story) -> Story:
    await story.connect_to(Provider.ONEROSTER)
    await pull(story, district())
    return story


async def reasons(story: Story, run: SyncRun) -> list[str]:
    found = await story.see.fetchval(
        "SELECT array_agg(r ->> 'code') FROM holds h, jsonb_array_elements(h.reasons) r"
        " WHERE h.run_id = $1",
        run.id,
    )
    return sorted(set(found or []))


def moved(ids: dict[str, Any], most: int = SIZE) -> dict[str, Any]:
    return {f"x{name}" if int(name[1:]) < most else name: key for name, key in ids.items()}


@pytest.mark.parametrize(("letters", "table"), [("u", "users"), ("g", "groups"), ("s", "schools")])
async def test_new_ids_of_a_type_wait_and_are_taken_when_approved(
    synced: Story, letters: str, table: str
) -> None:
    ids, before = await synced.ids(table), await synced.roster()
    memberships = sorted((await synced.membership_ids()).values())
    feed = renamed(district(), letters)
    held = await pull(synced, feed)
    assert held.state is SyncRunState.HELD
    assert await reasons(synced, held) == ["ID_CHURN"]
    assert await synced.roster() == before
    assert await links(synced) == []
    done = await approve(synced, held, feed)
    assert done.state is SyncRunState.SUCCEEDED, await reasons(synced, done)
    assert totals(done, "created", "archived", "restored") == dict.fromkeys(
        ("created", "archived", "restored"), 0
    )
    assert await synced.ids(table) == moved(ids)
    assert sorted((await synced.membership_ids()).values()) == memberships
    assert {link[4] for link in await links(synced)} == {"REKEYING"}
    assert {(key, value) for _, key, value in await former_ids(synced)} == {
        ("source_id", name) for name in ids
    }
    assert totals(await pull(synced, feed)) == NOTHING


async def test_new_ids_of_everything_at_once_are_recognised_parents_first(synced: Story) -> None:
    ids = {table: await synced.ids(table) for table in ("schools", "groups", "users")}
    feed = renamed(district(), "s", "g", "u", keys=(), number=None, username="")
    for n in range(SIZE):
        feed.change(f"xu{n}", username=f"other{n}", grades=("09",))
        feed.change(f"xs{n}", number=None)
        feed.change(f"xg{n}", code=None)
    held = await pull(synced, feed)
    assert await reasons(synced, held) == ["ID_CHURN"]
    await approve(synced, held, feed)
    for table, former in ids.items():
        assert await synced.ids(table) == moved(former)
    places = await read_places(synced.see)
    assert totals(await pull(synced, feed)) == NOTHING
    assert await read_places(synced.see) == places


async def test_a_preflight_shows_the_updates(synced: Story) -> None:
    run = await pull(synced, renamed(district(), "u"), SyncMode.PREFLIGHT)
    assert run.counts["USER"]["held"] == SIZE
    actions = {(change[0], change[2]) for change in await synced.changes(run)}
    assert ("USER", "UPDATE") in actions
    assert ("USER", "ARCHIVE") not in actions


async def test_a_fifth_is_a_matter_of_each_person(synced: Story) -> None:
    run = await pull(synced, renamed(district(), "u", most=2))
    assert totals(run) == NOTHING
    assert [row[:3] for row in await candidates(synced)] == [
        ("xu0", ["u0"], "USER_ID_CHANGED"), ("xu1", ["u1"], "USER_ID_CHANGED")
    ]  # fmt: skip


async def test_more_than_a_fifth_is_a_rekeying(synced: Story) -> None:
    feed = renamed(district(), "u", most=3)
    held = await pull(synced, feed)
    assert await reasons(synced, held) == ["ID_CHURN"]
    ids = await synced.ids("users")
    await approve(synced, held, feed)
    assert await synced.ids("users") == moved(ids, most=3)


@pytest.mark.parametrize(("alike", "is_rekeying"), [(8, True), (7, False)])
async def test_four_of_five_who_are_gone_must_have_come_back(
    synced: Story, *, alike: int, is_rekeying: bool
) -> None:
    feed = renamed(district(), "u").without(*(f"xu{n}" for n in range(alike, SIZE)))
    run = await pull(synced, feed)
    assert ("ID_CHURN" in await reasons(synced, run)) is is_rekeying
    if not is_rekeying:
        assert len(await candidates(synced)) == alike
        assert await links(synced) == []


async def test_others_who_are_gone_go_with_the_approval(synced: Story) -> None:
    feed = renamed(district(), "u").without("xu9", "e9")
    ids = await synced.ids("users")
    held = await pull(synced, feed)
    done = await approve(synced, held, feed)
    assert numbers(done, RecordType.USER) == {"updated": 9, "archived": 1}
    assert await synced.ids("users") == moved(ids, most=9)


async def test_a_key_says_more_than_what_somebody_looks_like(synced: Story) -> None:
    """u0 and u1 have exchanged their usernames."""
    ids = await synced.ids("users")
    feed = renamed(district(), "u")
    feed.change("xu0", username="u1")
    feed.change("xu1", username="u0")
    held = await pull(synced, feed)
    await approve(synced, held, feed)
    assert await synced.ids("users") == moved(ids)


async def test_twins_are_not_guessed(synced: Story) -> None:
    """Who shares a key with several waits, and those are neither linked nor archived."""
    feed = renamed(district(), "u")
    feed.change("xu0", keys=("sis_id:1",), number=None, username="other")
    held = await pull(synced, feed)
    assert await reasons(synced, held) == ["ID_CHURN"]
    assert {row[0] for row in await candidates(synced)} == {"xu0", "xu1"}
    done = await approve(synced, held, feed)
    assert numbers(done, RecordType.USER)["updated"] == 8
    assert (await synced.user("u1"))["archived_at"] is None


async def test_people_who_leave_are_no_rekeying(synced: Story) -> None:
    feed = district().without(*(f"u{n}" for n in range(5)), *(f"e{n}" for n in range(5)))
    feed.records += [
        student(f"new{n}", given_name=f"Newcomer {n}", number=f"10{n}", school_source_ids=("s1",))
        for n in range(5)
    ]
    run = await pull(synced, feed)
    assert numbers(run, RecordType.USER) == {"created": 5, "archived": 5, "unchanged": 5}
    assert await links(synced) == []


async def test_the_classes_of_a_new_year_are_no_rekeying(synced: Story) -> None:
    """Those of the year before are over; the new ones have the same names and codes."""
    feed = district()
    feed.records[0] = Term("t1", "2020", "term", *_days(2020))
    await pull(synced, feed)
    following = renamed(feed, "g")
    following.records[0] = Term("t2", "2090", "term", *_days(2090))
    for n in range(SIZE):
        following.change(f"xg{n}", term_source_ids=("t2",))
    run = await pull(synced, following)
    assert run.state is not SyncRunState.HELD
    assert numbers(run, RecordType.GROUP)["created"] == SIZE
    assert await links(synced) == []


def _days(year: int) -> tuple[Any, Any]:
    return date(year, 8, 1), date(year + 1, 6, 1)


async def test_classes_of_other_days_are_other_classes(synced: Story) -> None:
    feed = district()
    feed.records[0] = Term("t1", "2080", "term", *_days(2080))
    await pull(synced, feed)
    following = renamed(feed, "g")
    following.records[0] = Term("t2", "2090", "term", *_days(2090))
    for n in range(SIZE):
        following.change(f"xg{n}", term_source_ids=("t2",))
    run = await pull(synced, following)
    assert "ID_CHURN" not in await reasons(synced, run)


async def test_what_has_changed_since_it_was_approved_waits_with_what_needs_it(
    synced: Story,
) -> None:
    held = await pull(synced, renamed(district(), "s"))
    feed = renamed(district(), "s")
    feed.change("xs0", name="School 0 and a half")
    run = await approve(synced, held, feed)
    assert run.state is SyncRunState.SUCCEEDED_WITH_HOLD
    assert [run.counts[name]["held"] for name in ("SCHOOL", "GROUP", "USER")] == [1, 1, 1]
    without_school = (
        "SELECT count(*) FROM users u WHERE NOT EXISTS"
        " (SELECT FROM school_affiliations a WHERE a.user_id = u.id)"
    )
    assert await synced.see.fetchval(without_school) == 0


async def test_one_that_waits_longer_than_the_others_is_not_doubled(synced: Story) -> None:
    ids = await synced.ids("groups")
    held = await pull(synced, renamed(district(), "g"))
    feed = renamed(district(), "g")
    feed.change("xg0", name="Geometry")
    run = await approve(synced, held, feed)
    assert numbers(run, RecordType.GROUP)["updated"] == SIZE - 1
    later = await pull(synced, feed)
    assert later.state is SyncRunState.HELD
    assert await reasons(synced, later) == ["ID_CHURN"]
    assert (await approve(synced, later, feed)).state is SyncRunState.SUCCEEDED
    assert await synced.ids("groups") == moved(ids)
    assert totals(await pull(synced, feed)) == NOTHING


async def test_a_delta_does_not_double_who_waits_as_re_keyed(synced: Story) -> None:
    ids = await synced.ids("users")
    feed = renamed(district(), "u")
    held = await pull(synced, feed)
    delta = await pull(synced, Feed(feed.records, set(RecordType)), SyncMode.DELTA)
    assert delta.state is SyncRunState.HELD
    assert await synced.ids("users") == ids
    assert (await approve(synced, held, feed)).state is SyncRunState.SUCCEEDED
    assert await synced.ids("users") == moved(ids)


async def test_a_delta_that_deletes_and_brings_them_again_is_seen_through(synced: Story) -> None:
    ids = await synced.ids("users")
    feed = renamed(district(), "u")
    feed.deltas = set(RecordType)
    feed.deleted = {RecordType.USER: list(ids)}
    run = await pull(synced, feed, SyncMode.DELTA)
    assert run.state is SyncRunState.HELD
    assert "ID_CHURN" in await reasons(synced, run)
    assert await synced.ids("users") == ids


async def test_a_delta_asks_about_one_who_comes_again(synced: Story) -> None:
    feed = Feed([record for record in renamed(district(), "u", most=1).records
                 if record.source_id in ("xu0", "e0")], set(RecordType))  # fmt: skip
    feed.deleted = {RecordType.USER: ["u0"]}
    run = await pull(synced, feed, SyncMode.DELTA)
    assert totals(run) == NOTHING
    assert (await synced.user("u0"))["archived_at"] is None
    assert await candidates(synced) == [("xu0", ["u0"], "USER_ID_CHANGED", None, False)]
