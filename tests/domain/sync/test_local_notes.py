"""What a night says about settings and progress that it does not touch."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.clock import utc_now
from domain.people.callers import COMMAND_LINE
from domain.training.carrying import Carrying, carry_over
from domain.training.models import CarryMode
from domain.training.recording import record_results
from tests.domain.sync.stories import Story
from tests.domain.training.classes import result

pytestmark = pytest.mark.anyio

MOVED = ("PROGRESS_GROUP_MOVED", "ann")
LOST = ("OVERRIDE_INVALID_NOW", "ann")


@pytest.fixture
async def classes(story: Story) -> dict[str, UUID]:
    """Ann is in Algebra; Drama is there for her to move to, with its teacher."""
    story.district.group("g3", "Drama", school="s1")
    story.district.enroll("e6", "bob", "g3", role="teacher")
    story.district.user("fay", "fay")
    story.district.enroll("e7", "fay", "g3")
    await story.night()
    return await story.ids("groups")


def move(story: Story) -> None:
    story.district.enrollments.take("e1")
    story.district.enroll("e8", "ann", "g3")


def move_back(story: Story) -> None:
    story.district.enrollments.take("e8")
    story.district.enroll("e1", "ann", "g1")


async def earn(story: Story, group_id: UUID, *, name: str = "ann", lessons: int = 3) -> None:
    """In the school year that is under way: July is over, or last year's goes on."""
    now = datetime.now(UTC)
    await story.see.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons)"
        " SELECT $1, id, $2, $3, $4 FROM users WHERE tenant_id = $1 AND source_id = $5",
        story.tenant_id,
        group_id,
        now.year - (now.month < 7),
        lessons,
        name,
    )


async def choose(story: Story, group_id: UUID, *, days_ago: int = 0, name: str = "ann") -> None:
    await story.see.execute(
        "INSERT INTO default_places (tenant_id, user_id, group_id, group_set_at)"
        " SELECT $1, id, $2, now() - make_interval(days => $3) FROM users"
        " WHERE tenant_id = $1 AND source_id = $4",
        story.tenant_id,
        group_id,
        days_ago,
        name,
    )


async def roll_over(story: Story, *, days_ago: int) -> None:
    await story.see.execute(
        "INSERT INTO year_rollovers (tenant_id, rolls_on, days_before, days_after,"
        " archive_percent, update_percent, declared_by)"
        " SELECT id, (now() AT TIME ZONE time_zone)::date - $2::int, 14, 30, 60, 100, 'x'"
        " FROM tenants WHERE id = $1",
        story.tenant_id,
        days_ago,
    )


async def test_a_move_away_from_progress_is_told_with_both_groups_until_the_return(
    story: Story, classes: dict[str, UUID]
) -> None:
    await earn(story, classes["g1"])
    move(story)
    await story.night()
    [(code, source_id, found, cause, record)] = await story.errors(
        "code", "source_id", "found", "cause", "record::text"
    )
    assert (code, source_id) == MOVED
    assert (found, cause) == ("left Algebra for Drama", "GROUP g1")
    assert json.loads(record) == {
        "from_group_id": str(classes["g1"]),
        "from_group": "g1",
        "to_group_ids": [str(classes["g3"])],
        "to_groups": ["g3"],
    }
    await story.night()
    assert await story.errors("code", "source_id", "runs") == [(*MOVED, 2)]
    move_back(story)
    await story.night()
    assert await story.errors() == []


async def test_who_has_earned_nothing_there_moves_without_a_word(
    story: Story, classes: dict[str, UUID]
) -> None:
    await earn(story, classes["g1"], lessons=0)
    move(story)
    await story.night()
    assert await story.errors() == []


async def test_who_enters_a_second_group_or_leaves_one_of_two_has_not_moved(
    story: Story, classes: dict[str, UUID]
) -> None:
    await earn(story, classes["g1"])
    story.district.enroll("e8", "ann", "g3")
    await story.night()
    assert await story.errors() == [("STUDENT_MULTI_GROUP", "s1")]
    story.district.enrollments.take("e1")
    await story.night()
    assert await story.errors() == []


async def test_progress_that_was_carried_is_told_no_more(
    story: Story, classes: dict[str, UUID]
) -> None:
    await earn(story, classes["g1"])
    move(story)
    await story.night()
    await story.see.execute(
        "INSERT INTO progress_carries (tenant_id, user_id, from_group_id, to_group_id, mode,"
        " created_by) SELECT $1, id, $2, $3, 'COPY', 'x' FROM users WHERE source_id = 'ann'",
        story.tenant_id,
        classes["g1"],
        classes["g3"],
    )
    await story.see.execute(
        "UPDATE progress_carries SET carried = (SELECT jsonb_agg(jsonb_build_object("
        " 'kept', NULL, 'gone', to_jsonb(p))) FROM progress p)"
    )
    await story.night()
    assert await story.errors() == []


@pytest.mark.parametrize("mode", CarryMode)
async def test_what_was_earned_since_it_was_carried_is_told_at_the_next_move(
    story: Story, classes: dict[str, UUID], mode: CarryMode
) -> None:
    await earn(story, classes["g1"])
    move(story)
    await story.night()
    ann = (await story.ids("users"))["ann"]
    asked = Carrying(classes["g1"], classes["g3"], [ann], mode)
    async with story.api.transaction(story.tenant_id) as session:
        await carry_over(session, story.tenant_id, asked, COMMAND_LINE)
    story.district.enroll("e1", "ann", "g1")
    await story.night()
    lesson = result(ann, classes["g1"], lessons=5)
    async with story.api.transaction(story.tenant_id) as session:
        await record_results(session, story.tenant_id, [lesson], now=utc_now())
    story.district.enrollments.take("e1")
    story.district.enroll("e9", "ann", "g2")
    await story.night()
    assert (*MOVED, "GROUP g1", 1) in await story.errors("code", "source_id", "cause", "runs")
    await story.night()
    assert (*MOVED, "GROUP g1", 2) in await story.errors("code", "source_id", "cause", "runs")


async def test_a_default_group_that_was_left_is_told_and_the_choice_is_kept(
    story: Story, classes: dict[str, UUID]
) -> None:
    await choose(story, classes["g1"])
    move(story)
    await story.night()
    assert await story.errors("code", "source_id", "field", "found", "cause") == [
        (*LOST, "defaultGroup", "Algebra", "GROUP g1")
    ]
    assert await story.see.fetchval("SELECT group_id FROM default_places") == classes["g1"]
    move_back(story)
    await story.night()
    assert await story.errors() == []


async def test_a_default_school_that_was_left_is_told(story: Story) -> None:
    await story.night()
    await story.see.execute(
        "INSERT INTO default_places (tenant_id, user_id, school_id, school_set_at)"
        " SELECT $1, u.id, s.id, now() FROM users u, schools s"
        " WHERE u.source_id = 'bob' AND s.source_id = 's1'",
        story.tenant_id,
    )
    story.district.users.change("bob", orgSourcedIds="s2")
    await story.night()
    told = await story.errors("code", "source_id", "field", "found", "cause")
    assert ("OVERRIDE_INVALID_NOW", "bob", "defaultSchool", "North", "SCHOOL s1") in told


async def test_around_a_new_school_year_one_note_tells_of_all_choices_and_of_no_move(
    story: Story, classes: dict[str, UUID]
) -> None:
    await earn(story, classes["g1"])
    await choose(story, classes["g1"], days_ago=60)
    await choose(story, classes["g3"], days_ago=60, name="fay")
    await roll_over(story, days_ago=3)
    move(story)
    await story.night()
    told = await story.errors("code", "source_id", "found", "record::text")
    assert [row[:3] for row in told] == [("DEFAULTS_CLEARED", None, "2 of the last one")]
    assert json.loads(told[0][3]) == {"concerned": 2}
    await story.see.execute("UPDATE default_places SET group_set_at = now(), group_id = $1",
        classes["g3"])  # fmt: skip
    await story.night()
    assert await story.errors() == []


async def test_a_choice_of_the_former_year_is_not_told_once_the_new_one_is_under_way(
    story: Story, classes: dict[str, UUID]
) -> None:
    await choose(story, classes["g1"], days_ago=90)
    await roll_over(story, days_ago=40)
    move(story)
    await story.night()
    assert await story.errors() == []


async def test_progress_of_a_former_year_stays_where_it_is_without_a_word(
    story: Story, classes: dict[str, UUID]
) -> None:
    await earn(story, classes["g1"])
    await roll_over(story, days_ago=40)
    next_year = datetime.now(UTC) - timedelta(days=40)
    await story.see.execute("UPDATE progress SET school_year = $1", next_year.year - 1)
    move(story)
    await story.night()
    assert await story.errors() == []


@pytest.mark.parametrize(("said", "waiting"), [(None, 1), (False, 0), (True, 1)])
async def test_who_was_said_here_not_to_be_eligible_takes_no_licence(
    story: Story, *, said: bool | None, waiting: int
) -> None:
    """Three students and three licences; a fourth comes."""
    await story.night()
    await story.see.execute("UPDATE subscriptions SET licence_limit = 3")
    if said is not None:
        await story.see.execute(
            "INSERT INTO eligibility_overrides (tenant_id, user_id, is_eligible, set_by)"
            " SELECT $1, id, $2, 'x' FROM users WHERE source_id = 'ann'",
            story.tenant_id,
            said,
        )
    story.district.user("eve", "eve")
    run = await story.night()
    assert run.counts["USER"].get("held", 0) == waiting
