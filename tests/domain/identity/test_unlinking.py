"""A wrong link undone: both people keep what is theirs, and no sync links them again."""

from typing import Any
from uuid import UUID

import pytest

from domain.clock import new_id
from domain.errors import Conflict, NotFound
from domain.people.callers import COMMAND_LINE
from domain.training.carrying import Carrying, carry_over, undo_carries
from domain.training.models import CarryMode
from tests.api.graphql.seed import add_group, add_membership, insert
from tests.api.graphql.signed_in import add_session
from tests.domain.identity.people import (
    NOTHING,
    add_club,
    add_legacy_person,
    earn,
    everything,
    memberships,
    person,
    progress,
    unlink,
)
from tests.domain.sync.stories import Story, totals

pytestmark = pytest.mark.anyio


async def take_for(story: Story, stored: UUID, source_id: str) -> None:
    """An administrator has said that whoever the provider calls so is the stored person."""
    await insert(
        story.see, "match_candidates", tenant_id=story.tenant_id, record_type="USER",
        source_id=source_id, candidate_ids=[str(stored)], reason="USER_ID_CHANGED",
        resolution="LINK",
    )  # fmt: skip
    await story.see.execute("UPDATE match_candidates SET resolved_at = now()")
    await story.see.execute("UPDATE integrations SET existing_accounts = 'REPLACE'")


async def a_wrong_link(story: Story) -> UUID:
    """Old Ann, who was there before rostering, is taken for young ann2 of the provider."""
    old = await add_legacy_person(story, "old.ann", number="7", grades=["12"])
    club = await add_club(story, old)
    await earn(story, old, club, lessons=9)
    await take_for(story, old, "ann2")
    story.district.user("ann2", "ann.archer", grades="3", identifier="200")
    story.district.enroll("e9", "ann2", "g1")
    await story.night()
    row = await person(story.see, old)
    assert (row["source_id"], row["origin"], row["username"]) == ("ann2", "PROVIDER", "ann.archer")
    return old


def shown(row: Any) -> tuple[Any, ...]:
    return tuple(
        row[name] for name in ("source_id", "origin", "username", "number", "grades", "given_name")
    )


async def test_the_stored_person_is_who_they_were_and_a_new_one_is_the_providers(
    story: Story,
) -> None:
    old = await a_wrong_link(story)
    found = await unlink(story, old)
    new = UUID(found["new_id"])
    was, made = await person(story.see, old), await person(story.see, new)
    assert shown(was) == (None, "LEGACY", "old.ann", "7", ["12"], "Old.Ann")
    assert shown(made) == ("ann2", "PROVIDER", "ann.archer", "200", ["03"], "Ann2")
    assert (was["archived_at"], made["archived_at"], found["notes"]) == (None, None, [])
    assert await memberships(story.see, old) == {("Club", "STUDENT", True)}
    assert await memberships(story.see, new) == {("g1", "STUDENT", True)}


async def test_what_was_earned_goes_with_whose_groups_they_were(story: Story) -> None:
    old = await a_wrong_link(story)
    groups = await story.ids("groups")
    await earn(story, old, groups["g1"], lessons=4, seconds=40, best_speed=33)
    club = await story.see.fetchval("SELECT id FROM groups WHERE name = 'Club'")
    new = UUID((await unlink(story, old))["new_id"])
    assert await progress(story, old) == {club: (9, 0, None, None)}
    assert await progress(story, new) == {groups["g1"]: (4, 40, 33, None)}


@pytest.mark.parametrize("mode", CarryMode)
async def test_what_was_carried_from_one_to_the_other_is_carried_back_first(
    story: Story, mode: CarryMode
) -> None:
    old = await a_wrong_link(story)
    g1 = (await story.ids("groups"))["g1"]
    club = await story.see.fetchval("SELECT id FROM groups WHERE name = 'Club'")
    asked = Carrying(club, g1, [old], mode)
    async with story.api.transaction(story.tenant_id) as session:
        carry_ids = await carry_over(session, story.tenant_id, asked, COMMAND_LINE)
    with pytest.raises(Conflict, match="Undo that first"):
        await unlink(story, old)
    async with story.api.transaction(story.tenant_id) as session:
        await undo_carries(session, story.tenant_id, carry_ids, COMMAND_LINE)
    new = UUID((await unlink(story, old))["new_id"])
    assert await progress(story, old) == {club: (9, 0, None, None)}
    assert await progress(story, new) == {}


async def test_the_next_night_finds_nothing_to_do_and_links_nobody(story: Story) -> None:
    old = await a_wrong_link(story)
    await unlink(story, old)
    before = await everything(story)
    for _ in range(2):
        assert totals(await story.night()) == NOTHING
    assert await everything(story) == before
    row = await story.see.fetchrow("SELECT * FROM match_candidates")
    assert (row["source_id"], row["resolution"]) == ("ann2", "CREATE")
    link = await story.see.fetchrow("SELECT * FROM identity_links")
    assert (link["record_id"], link["ended_by"]) == (old, "command line")


async def test_what_syncs_have_changed_since_is_the_providers(story: Story) -> None:
    old = await a_wrong_link(story)
    story.district.users.change("ann2", familyName="Baker", orgSourcedIds="s2", grades="4")
    story.district.enrollments.take("e9")
    story.district.enroll("e11", "ann2", "g2")
    await story.night()
    new = UUID((await unlink(story, old))["new_id"])
    was, made = await person(story.see, old), await person(story.see, new)
    assert (was["family_name"], was["grades"]) == ("Before", ["12"])
    assert (made["family_name"], made["grades"]) == ("Baker", ["04"])
    assert await memberships(story.see, new) == {("g1", "STUDENT", False), ("g2", "STUDENT", True)}
    assert totals(await story.night()) == NOTHING


async def ann_leaves(story: Story) -> tuple[UUID, dict[str, str]]:
    """Her id, and her row of the feed."""
    ann = (await story.ids("users"))["ann"]
    former = story.district.users.take("ann")
    story.district.enrollments.take_where(userSourcedId="ann")
    await story.night()
    return ann, former


async def test_who_had_another_id_gets_it_back_archived_as_before(story: Story) -> None:
    """Ann left; years later ann2 comes, and somebody takes the one for the other."""
    ann, _ = await ann_leaves(story)
    groups = await story.ids("groups")
    await earn(story, ann, groups["g1"], lessons=5)
    before = await everything(story)
    was = await person(story.see, ann)
    await take_for(story, ann, "ann2")
    story.district.user("ann2", "ann", identifier="200")
    story.district.enroll("e9", "ann2", "g1")
    story.district.enroll("e10", "ann2", "g2")
    await story.night()
    await earn(story, ann, groups["g1"], lessons=1)
    await earn(story, ann, groups["g2"], lessons=2)

    new = UUID((await unlink(story, ann))["new_id"])
    is_now = await person(story.see, ann)
    # Which run had archived them is not known any more; all the rest is as it was.
    assert dict(is_now) == dict(was) | {"archived_by_run_id": None}
    assert is_now["source_id"] == "ann"
    # Both were in g1: what was earned there stays with who was there first.
    assert await progress(story, ann) == {groups["g1"]: (6, 0, None, None)}
    assert await progress(story, new) == {groups["g2"]: (2, 0, None, None)}
    assert await memberships(story.see, ann) == {("g1", "STUDENT", False)}
    assert await memberships(story.see, new) == {("g1", "STUDENT", True), ("g2", "STUDENT", True)}
    after = await everything(story)
    assert set(before["membership_spans"]) <= set(after["membership_spans"])
    assert after["external_keys"] == before["external_keys"]
    assert totals(await story.night()) == NOTHING
    assert await everything(story) == after


async def test_who_comes_back_under_the_former_id_is_the_former_person(story: Story) -> None:
    ann, former = await ann_leaves(story)
    await take_for(story, ann, "ann2")
    story.district.user("ann2", "ann2", identifier="200")
    await story.night()
    await unlink(story, ann)
    story.district.users.put(former)
    await story.night()
    row = await person(story.see, ann)
    assert (row["source_id"], row["username"], row["archived_at"]) == ("ann", "ann", None)
    assert {"ann", "ann2"} <= set(await story.ids("users"))


async def close(story: Story, run_id: UUID, user_id: UUID, *group_ids: UUID) -> None:
    """Archive memberships as the run does with those that the feed does not have."""
    rows = await story.see.fetch(
        "UPDATE memberships SET archived_at = now(), archived_by_run_id = $3"
        " WHERE user_id = $1 AND group_id = ANY ($2) AND archived_at IS NULL RETURNING id",
        user_id,
        list(group_ids),
        run_id,
    )
    for row in rows:
        await insert(
            story.see, "sync_changes", tenant_id=story.tenant_id, run_id=run_id,
            record_type="MEMBERSHIP", record_id=row["id"], action="ARCHIVE",
            old_values={"archived": False}, new_values={"archived": True},
        )  # fmt: skip


async def test_a_membership_of_before_rostering_is_live_again_where_its_group_is(
    story: Story,
) -> None:
    """The link made the provider's of it, and closed the one in which ann2 is not."""
    groups, school_id = await story.ids("groups"), (await story.ids("schools"))["s1"]
    closed = await add_group(story.see, story.tenant_id, school_id, origin="LEGACY", name="Old")
    old = await add_legacy_person(story, "old.ann")
    for group_id in (groups["g1"], groups["g2"], closed):
        await add_membership(story.see, story.tenant_id, old, group_id, origin="LEGACY")
    await take_for(story, old, "ann2")
    story.district.user("ann2", "ann.archer", identifier="200")
    story.district.enroll("e9", "ann2", "g1")
    night = await story.night()
    assert ("g1", "STUDENT", True) in await memberships(story.see, old)
    await close(story, night.id, old, groups["g2"], closed)
    new = UUID((await unlink(story, old))["new_id"])
    assert await memberships(story.see, old) == {
        ("g1", "STUDENT", True), ("g2", "STUDENT", True), ("Old", "STUDENT", False),
    }  # fmt: skip
    assert await memberships(story.see, new) == {("g1", "STUDENT", True)}
    origins = await story.see.fetch(
        "SELECT DISTINCT origin, content_hash IS NULL FROM memberships WHERE user_id = $1", old
    )
    assert [tuple(row) for row in origins] == [("LEGACY", True)]
    assert totals(await story.night()) == NOTHING


async def test_whose_username_is_taken_is_archived_and_that_is_said(story: Story) -> None:
    old = await add_legacy_person(story, "ann.archer")
    await take_for(story, old, "ann2")
    story.district.user("ann2", "Ann.Archer", identifier="200")
    await story.night()
    found = await unlink(story, old)
    assert found["notes"] == ["USERNAME_TAKEN"]
    was, made = await person(story.see, old), await person(story.see, UUID(found["new_id"]))
    assert (was["username"], was["origin"]) == ("ann.archer", "LEGACY")
    assert was["archived_at"] is not None
    assert (made["username"], made["archived_at"]) == ("Ann.Archer", None)
    assert totals(await story.night()) == NOTHING


async def test_where_the_changes_are_too_old_the_values_stay_and_that_is_said(
    story: Story,
) -> None:
    old = await a_wrong_link(story)
    await story.see.execute("DELETE FROM sync_changes")
    found = await unlink(story, old)
    assert found["notes"] == ["VALUES_NOT_KEPT", "USERNAME_TAKEN"]
    was = await person(story.see, old)
    assert (was["source_id"], was["origin"], was["number"]) == (None, "LEGACY", "200")
    assert totals(await story.night()) == NOTHING


async def test_whoever_was_signed_in_has_to_sign_in_again(story: Story) -> None:
    old = await a_wrong_link(story)
    await add_session(story.see, story.tenant_id, "secret", user_id=old)
    await unlink(story, old)
    assert await story.see.fetchval("SELECT ended_at IS NOT NULL FROM sessions")


async def refused(story: Story, user_id: UUID) -> str:
    before = await everything(story)
    with pytest.raises((Conflict, NotFound)) as refusal:
        await unlink(story, user_id)
    assert await everything(story) == before
    return str(refusal.value)


async def test_what_was_not_linked_cannot_be_unlinked(story: Story) -> None:
    assert "nothing to undo" in await refused(story, (await story.ids("users"))["ann"])
    unknown = new_id()
    assert await refused(story, unknown) == f"There is no user '{unknown}'."


async def test_a_link_is_undone_once(story: Story) -> None:
    old = await a_wrong_link(story)
    await unlink(story, old)
    assert "nothing to undo" in await refused(story, old)


async def test_nobody_gets_back_an_id_that_is_somebody_elses_now(story: Story) -> None:
    ann, former = await ann_leaves(story)
    await take_for(story, ann, "ann2")
    story.district.user("ann2", "ann2", identifier="200")
    await story.night()
    await take_for_new(story)
    story.district.users.put(former)
    await story.night()
    assert "Somebody else has the former id 'ann'" in await refused(story, ann)


async def take_for_new(story: Story) -> None:
    """Whoever comes as `ann` is somebody else."""
    await insert(
        story.see, "match_candidates", tenant_id=story.tenant_id, record_type="USER",
        source_id="ann", candidate_ids=[], reason="USER_ID_CHANGED", resolution="CREATE",
    )  # fmt: skip
