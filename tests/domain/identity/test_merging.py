"""Two people who are one: the kept one has everything, and the undo gives everything back."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.clock import new_id
from domain.errors import Conflict, InvalidInput, NotFound
from domain.identity.merging import MembershipOutcome, ProgressOutcome, preview_merge
from domain.people.callers import COMMAND_LINE
from domain.training.carrying import Carrying, carry_over, undo_carries
from domain.training.models import CarryMode, TrainingSettings
from tests.api.graphql.seed import add_membership, insert
from tests.api.graphql.signed_in import add_session
from tests.domain.identity.people import (
    NOTHING,
    add_club,
    add_legacy_person,
    earn,
    everything,
    memberships,
    merge,
    person,
    progress,
    settings,
    undo,
)
from tests.domain.sync.stories import Story, totals

pytestmark = pytest.mark.anyio

EARLY = datetime(2026, 9, 1, 8, 0, 0, 123456, tzinfo=UTC)
LATE = datetime(2026, 10, 1, 8, 0, 0, 654321, tzinfo=UTC)


async def ann_twice(story: Story) -> tuple[UUID, UUID]:
    """Ann has left and come back as ann2, which nobody noticed: an old person and a new one."""
    old = (await story.ids("users"))["ann"]
    groups = await story.ids("groups")
    await earn(
        story, old, groups["g1"], lessons=5, seconds=500, best_speed=30, last_active_at=EARLY
    )
    story.district.users.take("ann")
    (former,) = story.district.enrollments.take_where(userSourcedId="ann")
    story.district.user("ann2", "ann.archer", grades="10", identifier="200")
    story.district.enrollments.put(former | {"sourcedId": "e9", "userSourcedId": "ann2"})
    story.district.enroll("e10", "ann2", "g2")
    await story.night()
    new = (await story.ids("users"))["ann2"]
    await earn(story, new, groups["g1"], lessons=2, seconds=60, best_speed=40, last_active_at=LATE)
    await earn(story, new, groups["g2"], lessons=1, seconds=30)
    return old, new


async def set_up(story: Story, user_id: UUID, **values: Any) -> None:
    await insert(
        story.see, "training_settings", tenant_id=story.tenant_id, user_id=user_id, **values
    )


async def test_the_kept_person_becomes_who_the_other_one_is_at_the_provider(story: Story) -> None:
    old, new = await ann_twice(story)
    groups = await story.ids("groups")
    await set_up(story, old, speed_target=25)
    await set_up(story, new, speed_target=50, keyboard_layout="us")
    await merge(story, old, new)

    kept, merged = await person(story.see, old), await person(story.see, new)
    assert (kept["source_id"], kept["username"], kept["number"], kept["grades"]) == (
        "ann2", "ann.archer", "200", ["10"],
    )  # fmt: skip
    assert kept["archived_at"] is None
    assert (merged["source_id"], merged["merged_into_id"]) == (None, old)
    assert merged["archived_at"] is not None
    assert await memberships(story.see, old) == {
        ("g1", "STUDENT", True), ("g2", "STUDENT", True),
    }  # fmt: skip
    assert await memberships(story.see, new) == {("g1", "STUDENT", False)}
    assert await progress(story, old) == {
        groups["g1"]: (7, 560, 40, LATE),
        groups["g2"]: (1, 30, None, None),
    }
    assert await progress(story, new) == {}
    assert await settings(story, old) == {"speed_target": 25, "keyboard_layout": "us"}
    keys = await story.see.fetch("SELECT kind, value FROM external_keys WHERE record_id = $1", old)
    assert ("source_id", "ann") in {tuple(key) for key in keys}


async def test_the_next_night_finds_nothing_to_do_after_a_merge(story: Story) -> None:
    old, new = await ann_twice(story)
    await merge(story, old, new)
    before = await everything(story)
    assert totals(await story.night()) == NOTHING
    assert await everything(story) == before


async def test_an_undo_gives_everything_back_to_the_last_byte(story: Story) -> None:
    old, new = await ann_twice(story)
    await set_up(story, old, speed_target=25)
    await set_up(story, new, speed_target=50, keyboard_layout="us", has_avatars=False)
    before = await everything(story)
    await undo(story, await merge(story, old, new))
    assert await everything(story) == before
    assert totals(await story.night()) == NOTHING


async def test_an_undo_gives_back_settings_that_the_kept_one_did_not_have(story: Story) -> None:
    old, new = await ann_twice(story)
    await set_up(story, new, speed_target=50, keyboard_layout="us")
    before = await everything(story)
    merge_id = await merge(story, old, new)
    assert await settings(story, old) == {"speed_target": 50, "keyboard_layout": "us"}
    await undo(story, merge_id)
    assert await everything(story) == before


async def test_what_was_earned_since_a_merge_stays_with_the_kept_one(story: Story) -> None:
    old, new = await ann_twice(story)
    groups = await story.ids("groups")
    merge_id = await merge(story, old, new)
    await earn(story, old, groups["g1"], lessons=3, seconds=10, best_speed=41)
    await earn(story, old, groups["g2"], lessons=4, seconds=20, last_active_at=LATE)
    await undo(story, merge_id)
    assert await progress(story, old) == {
        groups["g1"]: (5 + 3, 500 + 10, 41, EARLY),
        groups["g2"]: (4, 20, None, LATE),
    }
    assert await progress(story, new) == {
        groups["g1"]: (2, 60, 40, LATE),
        groups["g2"]: (1, 30, None, None),
    }


async def test_a_setting_that_was_changed_since_a_merge_stays(story: Story) -> None:
    old, new = await ann_twice(story)
    await set_up(story, new, speed_target=50, accuracy_target=90)
    merge_id = await merge(story, old, new)
    await story.see.execute(
        "UPDATE training_settings SET speed_target = 60 WHERE user_id = $1", old
    )
    await undo(story, merge_id)
    assert await settings(story, old) == {"speed_target": 60}
    assert await settings(story, new) == {"speed_target": 50, "accuracy_target": 90}


async def test_what_a_sync_has_changed_since_goes_along_with_the_providers_person(
    story: Story,
) -> None:
    old, new = await ann_twice(story)
    merge_id = await merge(story, old, new)
    story.district.users.change("ann2", givenName="Anna", orgSourcedIds="s2")
    story.district.enrollments.take_where(sourcedId="e10")
    story.district.group("g3", "Chemistry", school="s2")
    story.district.enroll("e11", "ann2", "g3")
    await story.night()
    await undo(story, merge_id)

    back, gone = await person(story.see, new), await person(story.see, old)
    assert (back["source_id"], back["given_name"], back["archived_at"]) == ("ann2", "Anna", None)
    assert (gone["source_id"], gone["given_name"]) == ("ann", "Ann")
    assert gone["archived_at"] is not None
    assert await memberships(story.see, new) == {
        ("g1", "STUDENT", True), ("g2", "STUDENT", False), ("g3", "STUDENT", True),
    }  # fmt: skip
    assert await memberships(story.see, old) == {("g1", "STUDENT", False)}
    assert totals(await story.night()) == NOTHING


async def test_a_membership_that_came_back_to_the_kept_one_is_the_providers_too(
    story: Story,
) -> None:
    """Ann was in g2 long ago; only since the merge is she there again, as ann2."""
    story.district.enroll("e7", "ann", "g2")
    await story.night()
    story.district.enrollments.take_where(sourcedId="e7")
    await story.night()
    old = (await story.ids("users"))["ann"]
    story.district.users.take("ann")
    story.district.enrollments.take_where(userSourcedId="ann")
    story.district.user("ann2", "ann.archer")
    await story.night()
    new = (await story.ids("users"))["ann2"]
    merge_id = await merge(story, old, new)
    story.district.enroll("e8", "ann2", "g2")
    await story.night()
    assert ("g2", "STUDENT", True) in await memberships(story.see, old)
    await undo(story, merge_id)
    assert ("g2", "STUDENT", False) in await memberships(story.see, old)
    assert await memberships(story.see, new) == {("g2", "STUDENT", True)}
    assert totals(await story.night()) == NOTHING


async def test_a_person_who_is_not_rostered_is_merged_both_ways(story: Story) -> None:
    imported = await add_legacy_person(story, "old.ann", number="100", origin="IMPORT")
    rostered = (await story.ids("users"))["ann"]
    group_id = await add_club(story, imported)
    # Both are in g1: the provider's membership goes on, whoever is kept.
    shared = (await story.ids("groups"))["g1"]
    await add_membership(story.see, story.tenant_id, imported, shared, origin="IMPORT")
    await earn(story, imported, group_id, lessons=9)
    before = await everything(story)
    for kept, merged in ((imported, rostered), (rostered, imported)):
        merge_id = await merge(story, kept, merged)
        row = await person(story.see, kept)
        assert (row["source_id"], row["username"], row["origin"]) == ("ann", "ann", "PROVIDER")
        assert await memberships(story.see, kept) == {
            ("Club", "STUDENT", True), ("g1", "STUDENT", True),
        }  # fmt: skip
        assert await progress(story, kept) == {group_id: (9, 0, None, None)}
        assert totals(await story.night()) == NOTHING
        await undo(story, merge_id)
        assert await everything(story) == before


async def test_sessions_of_the_merged_one_end(story: Story) -> None:
    old, new = await ann_twice(story)
    for user_id in (old, new):
        await add_session(story.see, story.tenant_id, f"secret-{user_id}", user_id=user_id)
    await merge(story, old, new)
    rows = await story.see.fetch("SELECT user_id, ended_at IS NULL AS open FROM sessions")
    assert {row["user_id"]: row["open"] for row in rows} == {old: True, new: False}


async def test_a_preview_says_what_would_happen_and_changes_nothing(story: Story) -> None:
    old, new = await ann_twice(story)
    groups = await story.ids("groups")
    await set_up(story, new, speed_target=50)
    before = await everything(story)
    async with story.api.read(story.tenant_id) as session:
        found = await preview_merge(session, tenant_id=story.tenant_id, kept_id=old, merged_id=new)
    assert (found.merge.takes_over, found.merge.source_id, found.merge.former_id) == (
        True, "ann2", "ann",
    )  # fmt: skip
    assert {UUID(part.membership["group_id"]): part.outcome for part in found.merge.parts} == {
        groups["g1"]: MembershipOutcome.JOINED,
        groups["g2"]: MembershipOutcome.MOVED,
    }
    assert {joined.group_id: tuple(joined)[1:] for joined in found.progress} == {
        groups["g1"]: (2026, ProgressOutcome.JOINED, 7, 560, 40, LATE),
        groups["g2"]: (2026, ProgressOutcome.MOVED, 1, 30, None, None),
    }
    assert found.settings == {"speed_target": 50}
    assert await everything(story) == before


async def refused(story: Story, kept: UUID, merged: UUID) -> str:
    before = await everything(story)
    with pytest.raises((Conflict, InvalidInput, NotFound)) as refusal:
        await merge(story, kept, merged)
    assert await everything(story) == before
    return str(refusal.value)


async def test_people_who_cannot_be_merged_stay_as_they_are(story: Story) -> None:
    old, new = await ann_twice(story)
    users = await story.ids("users")
    assert "same person" in await refused(story, new, new)
    unknown = new_id()
    assert await refused(story, new, unknown) == f"There is no user '{unknown}'."
    assert "The provider shares both" in await refused(story, users["cid"], users["dee"])
    legacy = await add_legacy_person(story, "legacy")
    assert "Keep the other one" in await refused(story, old, legacy)
    await merge(story, old, new)
    assert "already" in await refused(story, old, new)
    assert "already" in await refused(story, new, users["cid"])


async def refused_undo(story: Story, merge_id: UUID) -> str:
    before = await everything(story)
    with pytest.raises((Conflict, NotFound)) as refusal:
        await undo(story, merge_id)
    assert await everything(story) == before
    return str(refusal.value)


async def test_a_merge_is_undone_once(story: Story) -> None:
    merge_id = await merge(story, *await ann_twice(story))
    await undo(story, merge_id)
    assert await refused_undo(story, merge_id) == "This merge has been undone already."
    unknown = new_id()
    assert await refused_undo(story, unknown) == f"There is no merge '{unknown}'."


async def test_merges_are_undone_from_the_last_on(story: Story) -> None:
    old, new = await ann_twice(story)
    legacy = await add_legacy_person(story, "legacy")
    before = await everything(story)
    first = await merge(story, old, new)
    second = await merge(story, legacy, old)
    assert "Undo that first" in await refused_undo(story, first)
    await undo(story, second)
    await undo(story, first)
    assert await everything(story) == before


async def test_an_undo_is_refused_where_a_username_is_taken_since(story: Story) -> None:
    legacy = await add_legacy_person(story, "anna")
    rostered = (await story.ids("users"))["ann"]
    merge_id = await merge(story, rostered, legacy)
    await add_legacy_person(story, "Anna")
    assert await refused_undo(story, merge_id) == "The username 'anna' has been taken since."


async def test_an_undo_is_refused_where_progress_is_not_there_any_more(story: Story) -> None:
    merge_id = await merge(story, *await ann_twice(story))
    await story.see.execute("UPDATE progress SET lessons = 1 WHERE lessons = 7")
    assert "somebody else's now" in await refused_undo(story, merge_id)


async def test_an_undo_is_refused_until_what_was_carried_since_is_back(story: Story) -> None:
    old, new = await ann_twice(story)
    before = await everything(story)
    merge_id = await merge(story, old, new)
    groups = await story.ids("groups")
    async with story.api.transaction(story.tenant_id) as session:
        carry_ids = await carry_over(
            session,
            story.tenant_id,
            Carrying(groups["g1"], groups["g2"], [old], CarryMode.COPY),
            COMMAND_LINE,
        )
    assert "carried to another group since" in await refused_undo(story, merge_id)
    async with story.api.transaction(story.tenant_id) as session:
        await undo_carries(session, story.tenant_id, carry_ids, COMMAND_LINE)
    await undo(story, merge_id)
    assert await everything(story) == before


async def test_what_both_have_earned_is_joined_year_by_year(story: Story) -> None:
    old, new = await ann_twice(story)
    groups = await story.ids("groups")
    await earn(story, new, groups["g1"], school_year=2025, lessons=9, best_speed=Decimal("31.5"))
    before = await everything(story)
    async with story.api.read(story.tenant_id) as session:
        found = await preview_merge(session, tenant_id=story.tenant_id, kept_id=old, merged_id=new)
    of_g1 = [joined for joined in found.progress if joined.group_id == groups["g1"]]
    assert [tuple(joined)[1:5] for joined in of_g1] == [
        (2025, ProgressOutcome.MOVED, 9, 0),
        (2026, ProgressOutcome.JOINED, 7, 560),
    ]
    merge_id = await merge(story, old, new)
    rows = await story.see.fetch(
        "SELECT school_year, lessons FROM progress WHERE user_id = $1 AND group_id = $2 ORDER BY 1",
        old,
        groups["g1"],
    )
    assert [tuple(row) for row in rows] == [(2025, 9), (2026, 7)]
    await undo(story, merge_id)
    assert await everything(story) == before


async def test_an_undo_is_refused_where_the_former_id_is_somebody_elses(story: Story) -> None:
    merge_id = await merge(story, *await ann_twice(story))
    story.district.user("ann", "ann")
    await story.night()
    assert "Somebody else has the id 'ann'" in await refused_undo(story, merge_id)


async def test_another_tenants_people_are_not_there(story: Story) -> None:
    old, new = await ann_twice(story)
    other = new_id()
    async with story.worker.transaction(other) as session:
        with pytest.raises(NotFound):
            await preview_merge(session, tenant_id=other, kept_id=old, merged_id=new)


def test_every_setting_is_one_that_a_merge_knows() -> None:
    """merge_training and unmerge_training of migration 0006 name them too."""
    from domain.identity.merging import SETTINGS  # noqa: PLC0415

    keys = {"tenant_id", "id", "school_id", "group_id", "user_id"}
    others = {"age_group", "version", "updated_at", "updated_by"}
    columns = {column.name for column in TrainingSettings.__table__.columns}
    assert columns == keys | others | set(SETTINGS)


async def test_what_was_said_of_the_other_one_is_said_of_the_kept_one_until_the_undo(
    story: Story,
) -> None:
    users, groups = await story.ids("users"), await story.ids("groups")
    ann, cid = users["ann"], users["cid"]
    await story.see.execute("UPDATE users SET archived_at = now() WHERE id = $1", cid)
    await story.see.execute(
        "INSERT INTO eligibility_overrides (tenant_id, user_id, is_eligible, set_by)"
        " VALUES ($1, $2, false, 'x')",
        story.tenant_id,
        cid,
    )
    await story.see.execute(
        "INSERT INTO default_places (tenant_id, user_id, group_id, group_set_at, group_set_by)"
        " VALUES ($1, $2, $3, now(), 'x')",
        story.tenant_id,
        cid,
        groups["g1"],
    )
    said = (
        "SELECT user_id FROM eligibility_overrides WHERE NOT is_eligible"
        " UNION ALL SELECT user_id FROM default_places WHERE group_id = $1"
    )

    async def of_whom() -> list[UUID]:
        return sorted(row[0] for row in await story.see.fetch(said, groups["g1"]))

    merge_id = await merge(story, ann, cid)
    assert await of_whom() == sorted([ann, ann, cid, cid])
    await undo(story, merge_id)
    assert await of_whom() == [cid, cid]
    merge_id = await merge(story, ann, cid)
    await story.see.execute("UPDATE eligibility_overrides SET set_by = 'y' WHERE user_id = $1", ann)
    await undo(story, merge_id)
    assert await of_whom() == sorted([ann, cid, cid])
