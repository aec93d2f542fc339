"""People who come back with another id: proposed as matches, neither doubled nor archived.

And what becomes of them when somebody decides.
"""

from typing import Any
from uuid import UUID

import pytest

from domain.roster.records import Enrollment, RecordType, Role
from domain.roster.source import Provider
from domain.sync.matches import MatchDecision
from domain.sync.models import SyncMode, SyncRunState
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.feeds import Feed, small_feed, student
from tests.domain.sync.matching import NOTHING, candidates, decide, former_ids, pull
from tests.domain.sync.stories import Story, numbers, read_places, totals

pytestmark = pytest.mark.anyio


@pytest.fixture
async def synced(story: Story) -> Story:
    await story.connect_to(Provider.ONEROSTER)
    await pull(story, small_feed())
    return story


def rekeyed(**values: Any) -> Feed:
    """Ann is ann2 now, with one of her keys, her username and her class."""
    feed = small_feed().without("ann", "e1")
    standard = {"username": "ann", "keys": ("sis_id:1", "student_number:7")}
    feed.records += [
        student("ann2", **{**standard, **values}),
        Enrollment("f1", "ann2", "g1", "STUDENT"),
    ]
    return feed


def renamed(ids: dict[str, UUID]) -> dict[str, UUID]:
    """The same people, of whom ann is called ann2."""
    return {"ann2" if name == "ann" else name: user_id for name, user_id in ids.items()}


OPEN = ("ann2", ["ann"], "USER_ID_CHANGED", None, False)


async def test_a_new_id_with_a_known_key_waits_and_the_old_one_stays(synced: Story) -> None:
    before, places = await synced.roster(), await read_places(synced.see)
    run = await pull(synced, rekeyed())
    assert run.state is SyncRunState.SUCCEEDED
    assert totals(run) == NOTHING
    assert numbers(run, RecordType.USER) == {"unchanged": 3, "rejected": 1}
    assert numbers(run, RecordType.MEMBERSHIP) == {"unchanged": 6, "ignored": 1}
    assert await synced.roster() == before
    assert await read_places(synced.see) == places
    assert await candidates(synced) == [OPEN]
    assert await synced.errors("code", "source_id", "expected", "found") == [
        ("CLASS_EMPTY", "g3", "an enrollment as student", ""),
        ("USER_ID_CHANGED", "ann2", "the id ann", "another id, with the same sis_id:1"),
    ]
    again = await pull(synced, rekeyed())
    assert totals(again) == NOTHING
    assert await read_places(synced.see) == places
    assert await candidates(synced) == [OPEN]


async def test_an_enrollment_that_keeps_its_id_stays_the_old_ones(synced: Story) -> None:
    before = await synced.roster()
    feed = rekeyed().without("f1")
    feed.records.append(Enrollment("e1", "ann2", "g1", "STUDENT"))
    run = await pull(synced, feed)
    assert totals(run) == NOTHING
    assert await synced.roster() == before


async def test_all_who_are_alike_are_listed(synced: Story) -> None:
    feed = small_feed()
    feed.records.append(student("abe", keys=("sis_id:9", "student_number:7")))
    await pull(synced, feed)
    run = await pull(synced, rekeyed())
    assert totals(run) == NOTHING
    assert await candidates(synced) == [("ann2", ["abe", "ann"], *OPEN[2:])]
    errors = await synced.errors("code", "expected", "found")
    assert errors[1:] == [
        ("USER_ID_CHANGED", "the id abe or ann",
         "another id, with the same sis_id:1 and student_number:7")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [
        {"keys": ("sis_id:8",)},
        {"keys": ("teacher_number:1",)},
        {"keys": ()},
        {"roles": (Role.TEACHER.value,)},
        {"keys": ("sis_id:2",)},  # cid's, who is still there
    ],
)
async def test_who_is_not_alike_is_somebody_else(synced: Story, values: dict[str, Any]) -> None:
    run = await pull(synced, rekeyed(**values))
    assert numbers(run, RecordType.USER) == {"created": 1, "archived": 1, "unchanged": 3}
    assert await candidates(synced) == []


async def test_the_student_number_is_compared_too(synced: Story) -> None:
    feed = small_feed()
    feed.change("ann", number="7")
    await pull(synced, feed)
    run = await pull(synced, rekeyed(keys=(), number="7"))
    assert totals(run) == NOTHING
    assert await candidates(synced) == [OPEN]
    errors = await synced.errors("code", "found")
    assert errors[1:] == [("USER_ID_CHANGED", "another id, with the same number:7")]


async def test_an_earlier_id_is_compared_too(synced: Story) -> None:
    """The provider takes its new id back."""
    await pull(synced, rekeyed())
    await decide(synced, MatchDecision.LINK, "ann")
    await pull(synced, rekeyed())
    feed = small_feed()
    feed.change("ann", keys=())
    run = await pull(synced, feed)
    assert totals(run) == NOTHING
    assert ("ann", ["ann2"], "USER_ID_CHANGED", None, False) in await candidates(synced)


async def test_a_number_that_many_have_tells_nobody_apart(synced: Story) -> None:
    feed = small_feed()
    feed.change("ann", number="0")
    feed.records += [student(f"x{n}", number="0") for n in range(20)]
    await pull(synced, feed)
    feed = feed.without("ann", "e1", *(f"x{n}" for n in range(20)))
    feed.records += [student("eve"), student("fay"), student("ann2", number="0")]
    await pull(synced, feed)
    assert await candidates(synced) == []


async def test_a_username_of_who_stays_is_not_given_away(synced: Story) -> None:
    feed = rekeyed(username="ann2")
    feed.records.append(student("eve", username="ANN"))
    run = await pull(synced, feed)
    assert numbers(run, RecordType.USER) == {"unchanged": 3, "rejected": 2}
    assert ("USER_LOGIN_CASE_CLASH", "eve") in await synced.errors()


async def test_a_match_is_closed_when_the_old_id_is_back(synced: Story) -> None:
    await pull(synced, rekeyed())
    feed = rekeyed(username="ann2")
    feed.records += [student("ann", keys=("sis_id:1", "student_number:1")),
                     Enrollment("e1", "ann", "g1", "STUDENT")]  # fmt: skip
    run = await pull(synced, feed)
    assert numbers(run, RecordType.USER) == {"created": 1, "unchanged": 4}
    assert await candidates(synced) == [(*OPEN[:3], "GONE", True)]


async def test_a_match_is_closed_when_the_new_id_is_gone_and_opened_again(synced: Story) -> None:
    await pull(synced, rekeyed())
    run = await pull(synced, rekeyed().without("ann2", "f1"))
    assert numbers(run, RecordType.USER) == {"archived": 1, "unchanged": 3}
    assert await candidates(synced) == [(*OPEN[:3], "GONE", True)]
    await pull(synced, small_feed())
    await pull(synced, rekeyed())
    assert await candidates(synced) == [OPEN]


async def test_an_administrator_may_say_that_it_is_somebody_else(synced: Story) -> None:
    await pull(synced, rekeyed())
    await decide(synced, MatchDecision.CREATE)
    run = await pull(synced, rekeyed())
    assert numbers(run, RecordType.USER) == {"created": 1, "archived": 1, "unchanged": 3}
    assert numbers(run, RecordType.MEMBERSHIP) == {"created": 1, "archived": 1, "unchanged": 5}
    assert await candidates(synced) == [(*OPEN[:3], "CREATE", True)]
    assert totals(await pull(synced, rekeyed())) == NOTHING


async def test_a_preflight_proposes_nothing_and_plans_the_same(synced: Story) -> None:
    run = await pull(synced, rekeyed(), SyncMode.PREFLIGHT)
    assert totals(run) == NOTHING
    assert await candidates(synced) == []


async def test_a_delta_keeps_out_who_waits(synced: Story) -> None:
    await pull(synced, rekeyed())
    before = await synced.roster()
    named = [record for record in rekeyed().records if record.source_id in {"ann2", "f1"}]
    run = await pull(synced, Feed(named, set(RecordType)), SyncMode.DELTA)
    assert totals(run) == NOTHING
    assert numbers(run, RecordType.MEMBERSHIP) == {"unchanged": 6, "ignored": 1}
    assert await synced.roster() == before
    assert await candidates(synced) == [OPEN]


async def test_who_is_left_out_by_a_rule_has_not_vanished(synced: Story) -> None:
    feed = rekeyed(username="ann2")
    feed.records += [student("ann", grades=("01",), keys=("sis_id:1",))]
    await synced.share(GRADE=["09"])
    run = await pull(synced, feed)
    assert numbers(run, RecordType.USER) == {"created": 1, "archived": 1, "unchanged": 3}
    assert await candidates(synced) == []


async def test_a_class_that_closes_takes_the_membership_of_who_stays(synced: Story) -> None:
    feed = rekeyed().without("g1", "b0", "e2", "f1")
    run = await pull(synced, feed)
    assert numbers(run, RecordType.GROUP) == {"archived": 1, "unchanged": 2}
    assert numbers(run, RecordType.MEMBERSHIP) == {"archived": 3, "unchanged": 3}
    assert (await synced.user("ann"))["archived_at"] is None


async def test_who_is_archived_already_is_a_match_and_stays_archived(synced: Story) -> None:
    await pull(synced, small_feed().without("ann", "e1"))
    before, places = await synced.roster(), await read_places(synced.see)
    for _ in range(2):
        run = await pull(synced, rekeyed())
        assert totals(run) == NOTHING
        assert numbers(run, RecordType.USER) == {"unchanged": 3, "rejected": 1}
        assert await synced.roster() == before
        assert await read_places(synced.see) == places
        assert await candidates(synced) == [OPEN]


async def test_who_is_live_is_preferred_to_who_is_archived(synced: Story) -> None:
    feed = small_feed().without("ann", "e1")
    feed.records.append(student("abe", keys=("student_number:7",)))
    await pull(synced, feed)
    await pull(synced, rekeyed())
    assert await candidates(synced) == [("ann2", ["abe"], *OPEN[2:])]
    assert (await synced.user("abe"))["archived_at"] is None
    assert (await synced.user("ann"))["archived_at"] is not None


async def test_a_link_keeps_the_person_and_the_memberships(synced: Story) -> None:
    ids, memberships = await synced.ids("users"), await synced.membership_ids()
    await pull(synced, rekeyed())
    await decide(synced, MatchDecision.LINK, "ann")
    run = await pull(synced, rekeyed(email="ann@example.org"))
    assert numbers(run, RecordType.USER) == {"updated": 1, "unchanged": 3}
    assert numbers(run, RecordType.MEMBERSHIP) == {"updated": 1, "unchanged": 5}
    assert await synced.ids("users") == renamed(ids)
    after = await synced.membership_ids()
    assert after["ann2", "g1", "STUDENT"] == memberships["ann", "g1", "STUDENT"]
    assert (await synced.user("ann2"))["email"] == "ann@example.org"
    assert await former_ids(synced) == [(ids["ann"], "source_id", "ann")]
    assert await candidates(synced) == [("ann2", ["ann2"], "USER_ID_CHANGED", "LINK", True)]
    assert await synced.errors() == [("CLASS_EMPTY", "g3")]
    places = await read_places(synced.see)
    assert totals(await pull(synced, rekeyed(email="ann@example.org"))) == NOTHING
    assert await read_places(synced.see) == places


async def test_a_link_brings_back_who_was_archived(synced: Story) -> None:
    ids, memberships = await synced.ids("users"), await synced.membership_ids()
    await pull(synced, small_feed().without("ann", "e1"))
    await pull(synced, rekeyed())
    await decide(synced, MatchDecision.LINK, "ann")
    run = await pull(synced, rekeyed())
    assert numbers(run, RecordType.USER) == {"restored": 1, "unchanged": 3}
    assert numbers(run, RecordType.MEMBERSHIP) == {"restored": 1, "unchanged": 5}
    assert await synced.ids("users") == renamed(ids)
    after = await synced.membership_ids()
    assert after["ann2", "g1", "STUDENT"] == memberships["ann", "g1", "STUDENT"]
    assert totals(await pull(synced, rekeyed())) == NOTHING


@pytest.mark.parametrize("was_archived", [False, True])
async def test_a_delta_links_who_is_in_it(synced: Story, *, was_archived: bool) -> None:
    ids = await synced.ids("users")
    if was_archived:
        await pull(synced, small_feed().without("ann", "e1"))
    await pull(synced, rekeyed())
    await decide(synced, MatchDecision.LINK, "ann")
    assert totals(await pull(synced, Feed([], set(RecordType)), SyncMode.DELTA)) == NOTHING
    named = [record for record in rekeyed().records if record.source_id in {"ann2", "f1"}]
    delta = Feed(named, set(RecordType), deleted={RecordType.MEMBERSHIP: ["e1"]})
    run = await pull(synced, delta, SyncMode.DELTA)
    action = "restored" if was_archived else "updated"
    assert totals(run) == NOTHING | {action: 2}
    assert await synced.ids("users") == renamed(ids)
    assert totals(await pull(synced, rekeyed())) == NOTHING


@pytest.mark.parametrize("was_archived", [False, True])
async def test_a_preflight_shows_a_link_and_changes_nothing(
    synced: Story, *, was_archived: bool
) -> None:
    if was_archived:
        await pull(synced, small_feed().without("ann", "e1"))
    await pull(synced, rekeyed())
    await decide(synced, MatchDecision.LINK, "ann")
    before, places = await synced.roster(), await read_places(synced.see)
    shown = await pull(synced, rekeyed(), SyncMode.PREFLIGHT)
    assert await synced.roster() == before
    assert await read_places(synced.see) == places
    assert await former_ids(synced) == []
    done = await pull(synced, rekeyed())
    assert numbers(shown, RecordType.USER) == numbers(done, RecordType.USER)
    assert numbers(shown, RecordType.MEMBERSHIP) == numbers(done, RecordType.MEMBERSHIP)


async def test_a_link_is_done_once_though_its_run_is_repeated(synced: Story) -> None:
    ids = await synced.ids("users")
    await pull(synced, rekeyed())
    await decide(synced, MatchDecision.LINK, "ann")
    await synced.see.execute("UPDATE users SET source_id = 'ann2' WHERE source_id = 'ann'")
    run = await pull(synced, rekeyed())
    assert numbers(run, RecordType.USER) == {"updated": 1, "unchanged": 3}
    assert await synced.ids("users") == renamed(ids)
    assert await candidates(synced) == [("ann2", ["ann2"], "USER_ID_CHANGED", "LINK", True)]


async def test_a_link_with_somebody_who_is_back_is_not_done(synced: Story) -> None:
    ids = await synced.ids("users")
    await pull(synced, rekeyed())
    await decide(synced, MatchDecision.LINK, "ann")
    feed = rekeyed(username="ann2")
    feed.records += [student("ann", keys=("sis_id:1", "student_number:1")),
                     Enrollment("e1", "ann", "g1", "STUDENT")]  # fmt: skip
    run = await pull(synced, feed)
    assert numbers(run, RecordType.USER) == {"created": 1, "unchanged": 4}
    assert (await synced.ids("users"))["ann"] == ids["ann"]
    assert await candidates(synced) == [(*OPEN[:3], "GONE", True)]


async def test_a_link_with_somebody_who_was_merged_is_asked_again(synced: Story) -> None:
    feed = small_feed()
    feed.records.append(student("abe", keys=("student_number:7",)))
    await pull(synced, feed)
    await pull(synced, rekeyed())
    await decide(synced, MatchDecision.LINK, "ann")
    ids = await synced.ids("users")
    await synced.see.execute(
        "UPDATE users SET merged_into_id = $1 WHERE id = $2", ids["abe"], ids["ann"]
    )
    await pull(synced, rekeyed())
    assert await candidates(synced) == [("ann2", ["abe"], *OPEN[2:])]
    assert await former_ids(synced) == []


async def test_of_two_ids_for_one_person_the_first_that_was_decided_is_taken(
    synced: Story,
) -> None:
    ids = await synced.ids("users")
    feed = rekeyed()
    feed.records.append(student("ann3", keys=("sis_id:1",)))
    await pull(synced, feed)
    await decide(synced, MatchDecision.LINK, "ann", of="ann3")
    await decide(synced, MatchDecision.LINK, "ann", of="ann2")
    await pull(synced, feed)
    assert (await synced.ids("users"))["ann3"] == ids["ann"]
    assert [(one[0], one[3]) for one in await candidates(synced)] == [
        ("ann2", "GONE"), ("ann3", "LINK")
    ]  # fmt: skip


async def test_who_is_ignored_stays_out_until_somebody_decides_otherwise(synced: Story) -> None:
    ids = await synced.ids("users")
    await pull(synced, rekeyed())
    await decide(synced, MatchDecision.IGNORE)
    run = await pull(synced, rekeyed())
    assert numbers(run, RecordType.USER) == {"archived": 1, "unchanged": 3, "ignored": 1}
    assert numbers(run, RecordType.MEMBERSHIP) == {"archived": 1, "unchanged": 5, "ignored": 1}
    assert (await synced.user("ann"))["archived_at"] is not None
    assert await synced.user("ann2") is None
    assert await synced.errors() == [("CLASS_EMPTY", "g3")]
    assert totals(await pull(synced, rekeyed())) == NOTHING
    named = [record for record in rekeyed().records if record.source_id in {"ann2", "f1"}]
    assert totals(await pull(synced, Feed(named, set(RecordType)), SyncMode.DELTA)) == NOTHING
    assert await candidates(synced) == [(*OPEN[:3], "IGNORE", True)]
    await decide(synced, MatchDecision.LINK, "ann")
    run = await pull(synced, rekeyed())
    assert numbers(run, RecordType.USER) == {"restored": 1, "unchanged": 3}
    assert await synced.ids("users") == renamed(ids)


async def test_decisions_of_two_tenants_do_not_meet(tell: TellStory) -> None:
    alpha, beta = await tell("alpha"), await tell("beta")
    for story in (alpha, beta):
        await story.connect_to(Provider.ONEROSTER)
        await pull(story, small_feed())
        await pull(story, rekeyed())
    before = await beta.roster()
    await decide(alpha, MatchDecision.LINK, "ann")
    await pull(alpha, rekeyed())
    assert totals(await pull(beta, rekeyed())) == NOTHING
    assert await beta.roster() == before
    assert await candidates(beta) == [OPEN]
    assert await former_ids(beta) == []
    assert (await alpha.ids("users")).keys() == {"ann2", "bob", "cid", "dee"}
