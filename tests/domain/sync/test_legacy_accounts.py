"""People who were there before rostering: replaced, or matched with whom the provider names."""

from typing import Any
from uuid import UUID

import pytest

from domain.clock import utc_now
from domain.errors import Conflict
from domain.people.callers import COMMAND_LINE
from domain.roster.records import RecordType
from domain.roster.source import Provider
from domain.sync.matches import MatchDecision
from domain.sync.models import SyncMode, SyncRunState
from domain.sync.onboarding import approve_preflight
from tests.api.graphql.seed import add_group, add_membership, add_school, add_user
from tests.domain.sync.feeds import Feed, small_feed, student
from tests.domain.sync.matching import (
    NOTHING,
    approve,
    candidates,
    decide,
    links,
    people,
    pull,
    take_over,
)
from tests.domain.sync.reverts import revert
from tests.domain.sync.stories import Story, numbers, totals

pytestmark = pytest.mark.anyio


@pytest.fixture
async def old(story: Story) -> Story:
    await story.connect_to(Provider.ONEROSTER)
    return story


async def choose(story: Story, policy: str, *match_keys: str) -> None:
    await story.see.execute(
        "UPDATE integrations SET existing_accounts = $2, match_keys = $3 WHERE tenant_id = $1",
        story.tenant_id,
        policy,
        list(match_keys or ("number", "email")),
    )


async def had(story: Story, username: str, **values: Any) -> UUID:
    """Somebody from before rostering."""
    return await add_user(
        story.see, story.tenant_id, origin="LEGACY", source_id=None, username=username, **values
    )


async def is_archived(story: Story, user_id: UUID) -> bool:
    archived_at = await story.see.fetchval("SELECT archived_at FROM users WHERE id = $1", user_id)
    return archived_at is not None


async def origin_of(story: Story, user_id: UUID) -> tuple[Any, ...]:
    row = await story.see.fetchrow("SELECT origin, source_id FROM users WHERE id = $1", user_id)
    return tuple(row)


@pytest.mark.parametrize("mode", [SyncMode.FULL, SyncMode.DELTA, SyncMode.PREFLIGHT])
async def test_nothing_starts_before_somebody_has_chosen(old: Story, mode: SyncMode) -> None:
    await had(old, "ann")
    with pytest.raises(Conflict, match="choose first what becomes of them") as refused:
        await old.request(mode)
    assert refused.value.field == "existingAccounts"
    await choose(old, "REPLACE")
    assert not (await old.request(mode)).joined


async def test_replace_archives_all_and_matches_nobody(old: Story) -> None:
    ann, eve = await had(old, "ann"), await had(old, "eve")
    school = await add_school(old.see, old.tenant_id, origin="LEGACY", name="North")
    group = await add_group(old.see, old.tenant_id, school, origin="LEGACY", name="Algebra")
    await add_membership(old.see, old.tenant_id, ann, group, origin="LEGACY")
    await choose(old, "REPLACE")
    run = await take_over(old, small_feed())
    assert await is_archived(old, ann)
    assert await is_archived(old, eve)
    assert await links(old) == []
    assert numbers(run, RecordType.USER)["created"] == 4
    assert numbers(run, RecordType.USER)["archived"] == 2
    assert (await old.user("ann"))["id"] != ann
    for table in ("schools", "groups", "memberships"):
        live = "SELECT count(*) FROM {} WHERE origin = 'LEGACY' AND archived_at IS NULL"
        assert await old.see.fetchval(live.format(table)) == 0
    assert totals(await pull(old, small_feed())) == NOTHING


async def test_a_preflight_shows_the_same_and_changes_nothing(old: Story) -> None:
    ann = await had(old, "ann")
    await choose(old, "MATCH_USERNAME")
    before = await old.roster()
    shown = await pull(old, small_feed(), SyncMode.PREFLIGHT)
    assert await old.roster() == before
    assert await links(old) == []
    held = await pull(old, small_feed())
    assert held.state is SyncRunState.HELD
    assert await old.roster() == before
    done = await approve(old, held, small_feed())
    assert await origin_of(old, ann) == ("PROVIDER", "ann")
    assert numbers(done, RecordType.USER) == numbers(shown, RecordType.USER)


async def test_usernames_match_whatever_their_case_and_the_others_are_archived(old: Story) -> None:
    ann, eve = await had(old, "ANN", family_name="Old"), await had(old, "eve")
    gone = await had(old, "cid", archived_at=utc_now())
    await choose(old, "MATCH_USERNAME")
    run = await take_over(old, small_feed())
    assert await origin_of(old, ann) == ("PROVIDER", "ann")
    assert await origin_of(old, gone) == ("PROVIDER", "cid")
    assert not await is_archived(old, gone)
    assert await is_archived(old, eve)
    assert numbers(run, RecordType.USER) == {
        "created": 2, "updated": 1, "archived": 1, "restored": 1
    }  # fmt: skip
    assert await links(old) == [
        ("USER", "ann", None, "LEGACY", "USERNAME"),
        ("USER", "cid", None, "LEGACY", "USERNAME"),
    ]
    told = await old.errors("code", "source_id", "expected", "found")
    assert ("USER_LOGIN_CASE_CHANGED", "ann", "ANN", "ann") in told
    assert totals(await pull(old, small_feed())) == NOTHING


async def test_a_student_is_not_matched_with_a_teacher(old: Story) -> None:
    ann = await had(old, "ann", roles=["TEACHER"])
    await choose(old, "MATCH_USERNAME")
    await take_over(old, small_feed())
    assert await origin_of(old, ann) == ("LEGACY", None)
    assert await is_archived(old, ann)


async def test_keys_match_in_their_order(old: Story) -> None:
    feed = small_feed()
    feed.change("ann", number="A7", email="shared@example.org")
    feed.change("bob", email="Bob@Example.org")
    by_number = await had(old, "x1", number="a7")
    by_email = await had(old, "x2", email="shared@example.org")
    teacher = await had(old, "x3", email="bob@example.ORG", roles=["TEACHER"])
    await choose(old, "MATCH_KEYS")
    await take_over(old, feed)
    assert await origin_of(old, by_number) == ("PROVIDER", "ann")
    assert await origin_of(old, by_email) == ("LEGACY", None)
    assert await origin_of(old, teacher) == ("PROVIDER", "bob")
    assert [link[4] for link in await links(old)] == ["NUMBER", "EMAIL"]


async def test_the_order_of_the_keys_is_a_setting(old: Story) -> None:
    feed = small_feed()
    feed.change("ann", number="7", email="ann@example.org")
    by_number = await had(old, "x1", number="7")
    by_email = await had(old, "x2", email="ann@example.org")
    await choose(old, "MATCH_KEYS", "email", "number")
    await take_over(old, feed)
    assert await origin_of(old, by_email) == ("PROVIDER", "ann")
    assert await is_archived(old, by_number)


async def test_who_fits_several_waits_and_nobody_of_them_is_archived(old: Story) -> None:
    feed = small_feed()
    feed.change("ann", email="home@example.org")
    twins = [await had(old, name, email="home@example.org") for name in ("x1", "x2")]
    await choose(old, "MATCH_KEYS")
    await take_over(old, feed)
    assert await candidates(old) == [("ann", ["x1", "x2"], "USER_MATCH_AMBIGUOUS", None, False)]
    assert not any([await is_archived(old, twin) for twin in twins])
    assert await old.user("ann") is None
    told = await old.errors("code", "found")
    assert ("USER_MATCH_AMBIGUOUS", "2 stored accounts with the same email address") in told
    assert totals(await pull(old, feed)) == NOTHING
    await decide(old, MatchDecision.LINK, "x2", of="ann")
    await pull(old, feed)
    assert await origin_of(old, twins[1]) == ("PROVIDER", "ann")
    assert await is_archived(old, twins[0])


@pytest.mark.parametrize("decision", [MatchDecision.CREATE, MatchDecision.IGNORE])
async def test_who_fits_several_may_be_none_of_them(old: Story, decision: MatchDecision) -> None:
    feed = small_feed()
    feed.change("ann", email="home@example.org")
    twins = [await had(old, name, email="home@example.org") for name in ("x1", "x2")]
    await choose(old, "MATCH_KEYS")
    await take_over(old, feed)
    await decide(old, decision, of="ann")
    await pull(old, feed)
    assert (await old.user("ann") is not None) == (decision is MatchDecision.CREATE)
    assert all([await is_archived(old, twin) for twin in twins])


async def test_several_who_fit_one_wait_all(old: Story) -> None:
    feed = small_feed()
    for name in ("ann", "cid"):
        feed.change(name, number="7")
    one = await had(old, "x1", number="7")
    await choose(old, "MATCH_KEYS")
    await take_over(old, feed)
    assert await candidates(old) == [
        (name, ["x1"], "USER_SOURCE_DUPLICATE", None, False) for name in ("ann", "cid")
    ]
    assert not await is_archived(old, one)
    await decide(old, MatchDecision.LINK, "x1", of="cid")
    await pull(old, feed)
    assert await origin_of(old, one) == ("PROVIDER", "cid")
    assert (await old.user("ann"))["id"] != one
    assert {row[0]: row[3] for row in await candidates(old)} == {"ann": "GONE", "cid": "LINK"}


async def test_a_delta_keeps_out_who_waits(old: Story) -> None:
    feed = small_feed()
    for name in ("ann", "cid"):
        feed.change(name, number="7")
    await had(old, "x1", number="7")
    await choose(old, "MATCH_KEYS")
    await take_over(old, feed)
    errors = await old.errors()
    [ann] = [record for record in feed.records if record.source_id == "ann"]
    run = await pull(old, Feed([ann], set(RecordType)), SyncMode.DELTA)
    assert totals(run) == NOTHING
    assert await old.errors() == errors
    assert len(await candidates(old)) == 2


async def test_eligibility_of_who_was_matched_stays(old: Story) -> None:
    ann = await had(old, "ann", is_eligible=False)
    await choose(old, "MATCH_USERNAME")
    await take_over(old, small_feed())
    for _ in range(2):
        assert not await old.see.fetchval("SELECT is_eligible FROM users WHERE id = $1", ann)
        assert totals(await pull(old, small_feed())) == NOTHING


async def test_schools_and_groups_are_recognised_with_what_they_hold(old: Story) -> None:
    ann = await had(old, "ann")
    school = await add_school(old.see, old.tenant_id, origin="LEGACY", name="NORTH ")
    other = await add_school(old.see, old.tenant_id, origin="LEGACY", name="East")
    group = await add_group(old.see, old.tenant_id, school, origin="LEGACY", name="algebra")
    elsewhere = await add_group(old.see, old.tenant_id, other, origin="LEGACY", name="Algebra")
    membership = await add_membership(old.see, old.tenant_id, ann, group, origin="LEGACY")
    await old.see.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year)"
        " VALUES ($1, $2, $3, 2026)",
        old.tenant_id,
        ann,
        group,
    )
    await choose(old, "MATCH_USERNAME")
    await take_over(old, small_feed())
    assert (await old.ids("schools"))["s1"] == school
    assert (await old.ids("groups"))["g1"] == group
    assert (await old.membership_ids())["ann", "g1", "STUDENT"] == membership
    assert await old.see.fetchval("SELECT count(*) FROM progress WHERE user_id = $1", ann) == 1
    for table, key in (("schools", other), ("groups", elsewhere)):
        archived = f"SELECT archived_at IS NOT NULL FROM {table} WHERE id = $1"  # noqa: S608
        assert await old.see.fetchval(archived, key)
    assert totals(await pull(old, small_feed())) == NOTHING


async def test_who_comes_later_is_matched_with_who_was_archived(old: Story) -> None:
    eve = await had(old, "eve")
    await choose(old, "MATCH_USERNAME")
    await take_over(old, small_feed())
    assert await is_archived(old, eve)
    feed = small_feed()
    feed.records.append(student("e9", username="Eve"))
    run = await pull(old, feed)
    assert numbers(run, RecordType.USER) == {"restored": 1, "unchanged": 4}
    assert await origin_of(old, eve) == ("PROVIDER", "e9")


async def test_who_cannot_be_taken_over_leaves_the_stored_account_as_it_is(old: Story) -> None:
    feed = small_feed()
    feed.change("ann", school_source_ids=("nowhere",), username="ann")
    ann = await had(old, "ann")
    await choose(old, "MATCH_USERNAME")
    feed = feed.without("e1")
    await take_over(old, feed)
    assert await origin_of(old, ann) == ("LEGACY", None)
    assert not await is_archived(old, ann)
    assert await links(old) == []


async def test_who_waits_keeps_the_username(old: Story) -> None:
    """Another person of the feed who wants it is told, and the rest goes on."""
    feed = small_feed()
    feed.change("ann", number="7", username="ann.a")
    feed.change("cid", username="X1")
    for name in ("x1", "x2"):
        await had(old, name, number="7")
    await choose(old, "MATCH_KEYS")
    await take_over(old, feed)
    assert ("USER_LOGIN_CASE_CLASH", "cid") in await old.errors()
    assert set(await people(old)) == {"x1", "x2", "bob", "dee"}


async def test_who_was_not_shown_as_closed_is_not_closed_by_the_next_night(old: Story) -> None:
    ids = [await had(old, f"u{n}") for n in range(40)]
    await choose(old, "MATCH_USERNAME")
    feed = small_feed()
    feed.records += [student(f"u{n}") for n in range(40)]
    assert (await pull(old, small_feed(), SyncMode.PREFLIGHT)).counts["USER"]["archived"] == 40
    shown = await pull(old, feed)
    less = feed.without(*(f"u{n}" for n in range(30)))
    assert (await approve(old, shown, less)).counts["USER"]["held"] == 30
    later = await pull(old, less)
    assert later.state is SyncRunState.HELD
    assert later.counts["USER"]["held"] == 30
    assert [user_id for user_id in ids if await is_archived(old, user_id)] == []
    assert (await approve(old, later, less)).counts["USER"]["archived"] == 30


async def test_who_was_shown_as_a_student_does_not_come_as_an_administrator(old: Story) -> None:
    await had(old, "zoe")
    await choose(old, "REPLACE")
    held, feed = await pull(old, small_feed()), small_feed()
    feed.change("cid", roles=("DISTRICT_ADMIN",))
    run = await approve(old, held, feed)
    assert (run.counts["USER"]["created"], run.counts["USER"]["held"]) == (3, 1)
    assert await old.user("cid") is None


async def test_a_first_sync_that_was_undone_has_to_be_approved_again(old: Story) -> None:
    zoe = await had(old, "zoe")
    await choose(old, "REPLACE")
    shown = await pull(old, small_feed(), SyncMode.PREFLIGHT)
    async with old.api.transaction(old.tenant_id) as session:
        await approve_preflight(
            session,
            tenant_id=old.tenant_id,
            run_id=shown.id,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
    first = await pull(old, small_feed())
    assert await is_archived(old, zoe)
    await revert(old, first)
    assert (await pull(old, small_feed())).state is SyncRunState.HELD
    assert not await is_archived(old, zoe)
