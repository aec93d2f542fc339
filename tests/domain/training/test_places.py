"""Where people land, night by night: a choice waits for its membership, and ends with its year."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from domain.clock import new_id, utc_now
from domain.people.callers import COMMAND_LINE
from domain.roster.records import RecordType
from domain.training.defaults import set_default_group, set_default_school
from domain.training.places import Places, PlaceSource, places_of_users
from tests.api.graphql.client import counted_statements
from tests.domain.sync.reverts import revert
from tests.domain.sync.stories import Story, numbers

pytestmark = pytest.mark.anyio

CHOSEN, ONLY, PRIMARY, ASK = (
    PlaceSource.CHOSEN,
    PlaceSource.ONLY_ONE,
    PlaceSource.PRIMARY,
    PlaceSource.ASK,
)


@pytest.fixture
async def nights(story: Story) -> Story:
    """Ann is in Algebra and Drama; gus and hal keep both alive when she leaves."""
    district = story.district
    district.group("g3", "Drama", school="s1")
    for name in ("gus", "hal"):
        district.user(name, name)
        district.enroll(f"{name}1", name, "g3")
        district.enroll(f"{name}2", name, "g1")
    district.enroll("e6", "ann", "g3")
    await story.night()
    return story


async def choose(story: Story, group: str | None, *, name: str = "ann") -> None:
    group_id = (await story.ids("groups"))[group] if group else None
    async with story.api.transaction(story.tenant_id) as session:
        await set_default_group(
            session,
            tenant_id=story.tenant_id,
            user_id=(await story.ids("users"))[name],
            group_id=group_id,
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def choose_school(story: Story, school: str | None, *, name: str) -> None:
    school_id = (await story.ids("schools"))[school] if school else None
    async with story.api.transaction(story.tenant_id) as session:
        await set_default_school(
            session,
            tenant_id=story.tenant_id,
            user_id=(await story.ids("users"))[name],
            school_id=school_id,
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def places(story: Story, user_ids: Sequence[UUID]) -> dict[UUID, Places]:
    async with story.api.read(story.tenant_id) as session:
        return dict(await places_of_users(session, story.tenant_id, user_ids))


async def lands(story: Story, name: str = "ann") -> tuple[str | None, PlaceSource, bool]:
    """The group by the provider's id, why, and whether another one was chosen."""
    user_id = (await story.ids("users"))[name]
    group = (await places(story, [user_id]))[user_id].group
    names = {key: source_id for source_id, key in (await story.ids("groups")).items()}
    return names[group.id] if group.id else None, group.source, group.is_fallback


async def school_of(story: Story, name: str) -> tuple[str | None, PlaceSource, bool]:
    user_id = (await story.ids("users"))[name]
    school = (await places(story, [user_id]))[user_id].school
    names = {key: source_id for source_id, key in (await story.ids("schools")).items()}
    return names[school.id] if school.id else None, school.source, school.is_fallback


async def declare(story: Story, *, days_ago: int, time_zone: str = "America/Chicago") -> None:
    """A school year that began so many days ago where the tenant is."""
    await story.see.execute(
        "UPDATE tenants SET time_zone = $2 WHERE id = $1", story.tenant_id, time_zone
    )
    await story.see.execute(
        "INSERT INTO year_rollovers (tenant_id, rolls_on, days_before, days_after,"
        " archive_percent, update_percent, declared_by)"
        " SELECT id, (now() AT TIME ZONE time_zone)::date - $2::int, 14, 30, 60, 100, 'x'"
        " FROM tenants WHERE id = $1",
        story.tenant_id,
        days_ago,
    )


async def choose_earlier(story: Story, *, days: int) -> None:
    """As if what was chosen had been chosen so many days before."""
    await story.see.execute(
        "UPDATE default_places SET group_set_at = group_set_at - $1::interval,"
        " school_set_at = school_set_at - $1::interval",
        timedelta(days=days),
    )


async def test_without_a_choice_the_only_group_is_taken_and_of_several_one_is_asked_for(
    nights: Story,
) -> None:
    assert await lands(nights, "cid") == ("g1", ONLY, False)
    assert await lands(nights, "ann") == (None, ASK, False)
    assert await lands(nights, "bob") == (None, ASK, False)


async def test_who_is_in_one_group_with_two_roles_is_in_one_group(nights: Story) -> None:
    nights.district.enroll("e9", "cid", "g1", role="teacher")
    run = await nights.night()
    assert numbers(run, RecordType.MEMBERSHIP)["created"] == 1
    assert await lands(nights, "cid") == ("g1", ONLY, False)


async def test_a_choice_falls_back_to_the_only_group_left_and_comes_back_with_the_membership(
    nights: Story,
) -> None:
    await choose(nights, "g3")
    assert await lands(nights) == ("g3", CHOSEN, False)
    stay = nights.district.enrollments.take("e6")
    await nights.night()
    assert await lands(nights) == ("g1", ONLY, True)
    nights.district.enrollments.put(stay)
    await nights.night()
    assert await lands(nights) == ("g3", CHOSEN, False)


async def test_a_choice_that_is_gone_leaves_a_question_where_several_groups_are_left(
    nights: Story,
) -> None:
    await choose(nights, "g3", name="gus")
    nights.district.group("g4", "Latin", school="s1")
    nights.district.enroll("e10", "gus", "g4")
    nights.district.enrollments.take("gus1")
    await nights.night()
    assert await lands(nights, "gus") == (None, ASK, True)


async def test_a_choice_waits_while_its_group_is_archived(nights: Story) -> None:
    await choose(nights, "g3")
    rows = nights.district.enrollments.take_where(classSourcedId="g3")
    group = nights.district.classes.take("g3")
    await nights.night()
    assert await lands(nights) == ("g1", ONLY, True)
    nights.district.classes.put(group)
    nights.district.enrollments.put(*rows)
    await nights.night()
    assert await lands(nights) == ("g3", CHOSEN, False)


async def test_a_choice_is_there_again_when_its_person_is_restored(nights: Story) -> None:
    await choose(nights, "g3")
    ann = nights.district.users.take("ann")
    stays = nights.district.enrollments.take_where(userSourcedId="ann")
    await nights.night()
    assert (await nights.user("ann"))["archived_at"] is not None
    assert await lands(nights) == (None, ASK, True)
    nights.district.users.put(ann)
    nights.district.enrollments.put(*stays)
    await nights.night()
    assert await lands(nights) == ("g3", CHOSEN, False)


async def test_a_new_school_year_clears_the_choice_of_a_group_and_no_other(nights: Story) -> None:
    await choose(nights, "g3")
    await choose_school(nights, "s1", name="bob")
    await choose_earlier(nights, days=10)
    await declare(nights, days_ago=11)
    assert await lands(nights) == ("g3", CHOSEN, False)
    await declare(nights, days_ago=5)
    assert await lands(nights) == (None, ASK, True)
    assert await school_of(nights, "bob") == ("s1", CHOSEN, False)
    await choose(nights, "g3")
    assert await lands(nights) == ("g3", CHOSEN, False)


async def test_a_choice_of_a_year_that_is_over_does_not_come_back_with_the_membership(
    nights: Story,
) -> None:
    await choose(nights, "g3")
    await choose_earlier(nights, days=10)
    stay = nights.district.enrollments.take("e6")
    await nights.night()
    await declare(nights, days_ago=2)
    nights.district.enrollments.put(stay)
    await nights.night()
    assert await lands(nights) == (None, ASK, True)


async def test_a_rollover_that_lies_ahead_or_is_cancelled_clears_nothing(nights: Story) -> None:
    await choose(nights, "g3")
    await choose_earlier(nights, days=10)
    await declare(nights, days_ago=-1)
    assert await lands(nights) == ("g3", CHOSEN, False)
    await declare(nights, days_ago=0)
    assert await lands(nights) == (None, ASK, True)
    await nights.see.execute("UPDATE year_rollovers SET cancelled_at = now(), cancelled_by = 'x'")
    assert await lands(nights) == ("g3", CHOSEN, False)


@pytest.mark.parametrize(
    ("time_zone", "offset", "counts"),
    [("Pacific/Kiritimati", 14, True), ("Pacific/Pago_Pago", -11, True), ("UTC", 0, True),
     ("Pacific/Kiritimati", 14, False), ("Pacific/Pago_Pago", -11, False), ("UTC", 0, False)],
)  # fmt: skip
async def test_a_year_begins_at_midnight_where_the_tenant_is(
    nights: Story, time_zone: str, offset: int, counts: bool
) -> None:
    """Chosen in the first minute of the first day there, or in the last one before it."""
    await choose(nights, "g3")
    await declare(nights, days_ago=3, time_zone=time_zone)
    minutes = 1 if counts else -1
    await nights.see.execute(
        "UPDATE default_places SET group_set_at = (r.rolls_on + make_interval(mins => $1))"
        "  AT TIME ZONE 'UTC' - make_interval(hours => $2) FROM year_rollovers r",
        minutes,
        offset,
    )
    assert (await lands(nights))[1] is (CHOSEN if counts else ASK)


async def test_a_school_is_the_chosen_one_or_the_first(nights: Story) -> None:
    assert await school_of(nights, "bob") == ("s2", PRIMARY, False)
    await choose_school(nights, "s1", name="bob")
    assert await school_of(nights, "bob") == ("s1", CHOSEN, False)
    nights.district.users.change("bob", orgSourcedIds="s2")
    await nights.night()
    assert await school_of(nights, "bob") == ("s2", PRIMARY, True)
    nights.district.users.change("bob", orgSourcedIds="s2,s1")
    await nights.night()
    assert await school_of(nights, "bob") == ("s1", CHOSEN, False)


async def test_a_revert_brings_a_choice_back_and_nobody_writes_it(nights: Story) -> None:
    await choose(nights, "g3")
    before = await nights.see.fetch("SELECT *, ctid::text, xmin::text FROM default_places")
    nights.district.enrollments.take("e6")
    run = await nights.night()
    assert await lands(nights) == ("g1", ONLY, True)
    await revert(nights, run)
    assert await lands(nights) == ("g3", CHOSEN, False)
    after = await nights.see.fetch("SELECT *, ctid::text, xmin::text FROM default_places")
    assert after == before


async def test_a_page_of_people_is_one_statement_and_who_is_not_there_is_left_out(
    nights: Story,
) -> None:
    ids = await nights.ids("users")
    async with nights.api.read(nights.tenant_id) as session:
        with counted_statements(nights.api.engine.sync_engine) as statements:
            found = await places_of_users(session, nights.tenant_id, [*ids.values(), new_id()])
    assert found.keys() == set(ids.values())
    assert len(statements) == 1
