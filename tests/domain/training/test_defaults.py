"""Choosing where somebody lands: only what is theirs now, told once, and two at a time."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.clock import new_id, utc_now
from domain.errors import Conflict, NotFound
from domain.people.callers import Caller
from domain.training.defaults import set_default_group, set_default_school
from tests.domain.sync.stories import Story

pytestmark = pytest.mark.anyio

ADA = Caller(actor="token ada", name="Ada")


@pytest.fixture
async def district(story: Story) -> dict[str, UUID]:
    """Our ids: people, classes and schools of the small district by the provider's."""
    await story.night()
    return {
        **await story.ids("schools"),
        **await story.ids("groups"),
        **await story.ids("users"),
    }


async def choose_group(story: Story, user_id: UUID, group_id: UUID | None) -> None:
    async with story.api.transaction(story.tenant_id) as session:
        await set_default_group(
            session,
            tenant_id=story.tenant_id,
            user_id=user_id,
            group_id=group_id,
            caller=ADA,
            now=utc_now(),
        )


async def choose_school(story: Story, user_id: UUID, school_id: UUID | None) -> None:
    async with story.api.transaction(story.tenant_id) as session:
        await set_default_school(
            session,
            tenant_id=story.tenant_id,
            user_id=user_id,
            school_id=school_id,
            caller=ADA,
            now=utc_now(),
        )


async def stored(story: Story) -> list[dict[str, Any]]:
    rows = await story.see.fetch("SELECT * FROM default_places")
    return [{k: v for k, v in row.items() if k != "tenant_id"} for row in rows]


async def audited(story: Story) -> list[tuple[str, str, str, str]]:
    rows = await story.see.fetch(
        "SELECT actor, action, target, details::text FROM audit_log"
        " WHERE action LIKE 'default%' ORDER BY id"
    )
    return [tuple(row) for row in rows]


async def version(story: Story) -> int | None:
    found: int | None = await story.see.fetchval("SELECT version FROM training_versions")
    return found


async def test_a_choice_is_stored_with_who_chose_and_when_and_is_audited(
    story: Story, district: dict[str, UUID]
) -> None:
    began = utc_now()
    await choose_group(story, district["bob"], district["g2"])
    await choose_school(story, district["bob"], district["s1"])
    [row] = await stored(story)
    assert began <= row.pop("group_set_at") <= row.pop("school_set_at") <= utc_now()
    assert row == {
        "user_id": district["bob"],
        "group_id": district["g2"],
        "group_set_by": "token ada",
        "school_id": district["s1"],
        "school_set_by": "token ada",
    }
    bob = str(district["bob"])
    assert await audited(story) == [
        ("token ada", "defaultGroupSet", bob, f'{{"group_id": "{district["g2"]}"}}'),
        ("token ada", "defaultSchoolSet", bob, f'{{"school_id": "{district["s1"]}"}}'),
    ]


async def test_taking_a_choice_back_leaves_the_other_one(
    story: Story, district: dict[str, UUID]
) -> None:
    await choose_group(story, district["bob"], district["g2"])
    await choose_school(story, district["bob"], district["s1"])
    await choose_group(story, district["bob"], None)
    [row] = await stored(story)
    assert (row["group_id"], row["group_set_at"], row["group_set_by"]) == (None, None, None)
    assert row["school_id"] == district["s1"]
    await choose_school(story, district["bob"], None)
    [row] = await stored(story)
    assert (row["school_id"], row["school_set_at"], row["school_set_by"]) == (None, None, None)
    assert [entry[3] for entry in (await audited(story))[2:]] == [
        '{"group_id": null}', '{"school_id": null}',
    ]  # fmt: skip


async def test_the_same_choice_again_is_no_act_and_no_new_version(
    story: Story, district: dict[str, UUID]
) -> None:
    await choose_group(story, district["bob"], None)
    await choose_school(story, district["bob"], None)
    assert (await stored(story), await version(story)) == ([], None)
    await choose_group(story, district["bob"], district["g2"])
    await choose_school(story, district["bob"], district["s1"])
    before, number = await stored(story), await version(story)
    await choose_group(story, district["bob"], district["g2"])
    await choose_school(story, district["bob"], district["s1"])
    assert (await stored(story), await version(story)) == (before, number)
    assert len(await audited(story)) == 2


async def test_the_same_choice_counts_anew_in_a_new_year(
    story: Story, district: dict[str, UUID]
) -> None:
    await choose_group(story, district["bob"], district["g2"])
    await story.see.execute(
        "UPDATE default_places SET group_set_at = group_set_at - $1::interval", timedelta(days=9)
    )
    await story.see.execute(
        "INSERT INTO year_rollovers (tenant_id, rolls_on, days_before, days_after,"
        " archive_percent, update_percent, declared_by)"
        " VALUES ($1, current_date - 5, 14, 30, 60, 100, 'x')",
        story.tenant_id,
    )
    began = utc_now()
    await choose_group(story, district["bob"], district["g2"])
    [row] = await stored(story)
    assert row["group_set_at"] >= began
    assert len(await audited(story)) == 2


async def test_only_a_group_and_a_school_of_the_person_now_can_be_chosen(
    story: Story, district: dict[str, UUID]
) -> None:
    for group_id in (district["g2"], new_id()):
        with pytest.raises(Conflict, match="is not in the group") as refused:
            await choose_group(story, district["ann"], group_id)
        assert refused.value.field == "groupId"
        assert str(refused.value) == (
            f"The person '{district['ann']}' is not in the group '{group_id}' now: choose one of"
            " theirs."
        )
    for school_id in (district["s2"], new_id()):
        with pytest.raises(Conflict, match="is not in the school") as refused:
            await choose_school(story, district["ann"], school_id)
        assert refused.value.field == "schoolId"
        assert str(refused.value) == (
            f"The person '{district['ann']}' is not in the school '{school_id}' now: choose one of"
            " theirs."
        )
    assert (await stored(story), await audited(story)) == ([], [])


async def test_a_membership_that_is_archived_is_none_to_choose(
    story: Story, district: dict[str, UUID]
) -> None:
    story.district.enrollments.take("e4")
    await story.night()
    with pytest.raises(Conflict, match="is not in the group"):
        await choose_group(story, district["bob"], district["g2"])
    story.district.enroll("e4", "bob", "g2", role="teacher")
    await story.night()
    await choose_group(story, district["bob"], district["g2"])
    assert [row["group_id"] for row in await stored(story)] == [district["g2"]]


async def test_nothing_is_chosen_for_who_is_archived_or_does_not_exist(
    story: Story, district: dict[str, UUID]
) -> None:
    await story.see.execute("UPDATE users SET archived_at = now() WHERE id = $1", district["bob"])
    nobody = new_id()
    for choose, place in ((choose_group, district["g2"]), (choose_school, district["s1"])):
        with pytest.raises(
            Conflict, match=rf"^The person '{district['bob']}' is archived, and lands nowhere\.$"
        ):
            await choose(story, district["bob"], place)
        with pytest.raises(NotFound, match=f"^There is no person '{nobody}'.$"):
            await choose(story, nobody, place)
    assert await stored(story) == []


async def test_a_group_and_a_school_chosen_at_once_both_stay(
    story: Story, district: dict[str, UUID]
) -> None:
    bob = district["bob"]
    await asyncio.gather(
        choose_group(story, bob, district["g2"]),
        choose_school(story, bob, district["s1"]),
        choose_group(story, bob, district["g1"]),
        choose_group(story, bob, district["g2"]),
    )
    [row] = await stored(story)
    assert row["group_id"] in {district["g1"], district["g2"]}
    assert row["school_id"] == district["s1"]
