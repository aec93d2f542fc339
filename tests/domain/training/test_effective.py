"""What holds for whom: the nearest level that says something, as a plain model has it too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.clock import new_id
from domain.resources import Resources
from domain.training.effective import (
    Effective,
    Setting,
    SettingsLevel,
    UserKey,
    effective_of_groups,
    effective_of_schools,
    effective_of_tenant,
    effective_of_users,
)
from domain.training.models import AgeGroup
from tests.api.graphql.client import counted_statements
from tests.api.graphql.seed import (
    add_group,
    add_membership,
    add_school,
    add_tenant,
    add_user,
    insert,
)
from tests.domain.training.classes import Classes

pytestmark = pytest.mark.anyio

FIELDS: Final = ("speed_target", "accuracy_target", "keyboard_layout", "has_avatars")
NOBODY: Final[Setting[Any]] = Setting(None, SettingsLevel.DEFAULT, None)
OWNERS: Final = {
    SettingsLevel.USER: "user_id",
    SettingsLevel.GROUP: "group_id",
    SettingsLevel.SCHOOL: "school_id",
}
VALUES: Final = st.fixed_dictionaries(
    {
        "speed_target": st.none() | st.integers(1, 250),
        "accuracy_target": st.none() | st.integers(0, 100),
        "keyboard_layout": st.none() | st.sampled_from(["us", "gb", "fr"]),
        "has_avatars": st.none() | st.booleans(),
    }
)


async def set_of(
    see: asyncpg.Connection, tenant_id: UUID, level: SettingsLevel, key: UUID, **values: Any
) -> None:
    owner = {OWNERS[level]: key} if level in OWNERS else {}
    await insert(see, "training_settings", tenant_id=tenant_id, **owner, **values)


async def of_users(classes: Classes, *keys: UserKey) -> Mapping[UserKey, Effective]:
    async with classes.api.read(classes.tenant_id) as session:
        return await effective_of_users(session, classes.tenant_id, keys)


async def of_user(classes: Classes, user_id: UUID, group_id: UUID | None = None) -> Effective:
    return (await of_users(classes, (user_id, group_id)))[user_id, group_id]


async def test_the_nearest_level_that_says_something_wins(classes: Classes) -> None:
    group_id = await classes.group()
    user_id = await classes.student(group_id)
    tenant_id, school_id = classes.tenant_id, classes.school_id
    assert (await of_user(classes, user_id)).speed_target == NOBODY
    for level, key, speed in (
        (SettingsLevel.TENANT, tenant_id, 10),
        (SettingsLevel.SCHOOL, school_id, 20),
        (SettingsLevel.GROUP, group_id, 30),
        (SettingsLevel.USER, user_id, 40),
    ):
        await set_of(classes.see, tenant_id, level, key, speed_target=speed)
        found = await of_user(classes, user_id)
        assert found.speed_target == Setting(speed, level, key)
        assert (found.accuracy_target, found.has_avatars) == (NOBODY, NOBODY)
    async with classes.api.read(tenant_id) as session:
        groups = await effective_of_groups(session, tenant_id, [group_id, new_id()])
        schools = await effective_of_schools(session, tenant_id, [school_id, new_id()])
        tenants = await effective_of_tenant(session, tenant_id, [tenant_id])
    assert {key: found.speed_target.value for key, found in groups.items()} == {group_id: 30}
    assert {key: found.speed_target.value for key, found in schools.items()} == {school_id: 20}
    assert tenants[tenant_id].speed_target == Setting(10, SettingsLevel.TENANT, tenant_id)


async def test_false_and_zero_are_said_as_well(classes: Classes) -> None:
    user_id = await classes.student()
    tenant_id = classes.tenant_id
    await set_of(
        classes.see, tenant_id, SettingsLevel.TENANT, tenant_id, has_avatars=True, accuracy_target=9
    )
    await set_of(
        classes.see, tenant_id, SettingsLevel.USER, user_id, has_avatars=False, accuracy_target=0
    )
    found = await of_user(classes, user_id)
    assert found.has_avatars == Setting(False, SettingsLevel.USER, user_id)
    assert found.accuracy_target == Setting(0, SettingsLevel.USER, user_id)


async def test_the_age_group_is_the_groups_alone(classes: Classes) -> None:
    young, old = await classes.group(), await classes.group(name="Typing 2")
    user_id = await classes.student(young, old)
    for group_id, age_group in ((young, "EARLY"), (old, "HIGH")):
        await set_of(
            classes.see, classes.tenant_id, SettingsLevel.GROUP, group_id, age_group=age_group
        )
    found = await of_users(classes, (user_id, young), (user_id, old), (user_id, None))
    assert found[user_id, young].age_group == Setting(AgeGroup.EARLY, SettingsLevel.GROUP, young)
    assert found[user_id, old].age_group == Setting(AgeGroup.HIGH, SettingsLevel.GROUP, old)
    assert found[user_id, None].age_group == NOBODY  # two groups, and none is chosen


async def test_a_group_brings_its_own_school(classes: Classes) -> None:
    """The one where the person lands counts, or the one that is asked for, archived or not."""
    see, tenant_id, north = classes.see, classes.tenant_id, classes.school_id
    south = await add_school(see, tenant_id, name="South School")
    elsewhere = await add_group(see, tenant_id, south)
    for school_id, speed in ((north, 20), (south, 30)):
        await set_of(see, tenant_id, SettingsLevel.SCHOOL, school_id, speed_target=speed)
    at_home, away = await classes.student(), await classes.student(elsewhere)
    found = await of_users(classes, (at_home, None), (away, None), (at_home, elsewhere))
    assert [each.speed_target.value for each in found.values()] == [20, 30, 30]
    assert [each.group_id for each in found.values()] == [None, elsewhere, elsewhere]
    await see.execute("UPDATE groups SET archived_at = now()")
    found = await of_users(classes, (away, None), (away, elsewhere))
    assert found[away, None].speed_target == Setting(20, SettingsLevel.SCHOOL, north)
    assert found[away, elsewhere].speed_target == Setting(30, SettingsLevel.SCHOOL, south)


async def test_the_archived_keep_what_holds_for_them(classes: Classes) -> None:
    user_id = await classes.student(await classes.group())
    await set_of(classes.see, classes.tenant_id, SettingsLevel.USER, user_id, keyboard_layout="gb")
    await classes.see.execute("UPDATE users SET archived_at = now()")
    found = await of_user(classes, user_id)
    assert found.keyboard_layout == Setting("gb", SettingsLevel.USER, user_id)


async def test_who_is_not_there_is_left_out_and_another_tenant_is_not_there(
    classes: Classes,
) -> None:
    user_id = await classes.student()
    beta = await add_tenant(classes.see, "beta")
    theirs = await add_group(classes.see, beta, await add_school(classes.see, beta))
    stranger = await add_user(classes.see, beta)
    await set_of(classes.see, beta, SettingsLevel.TENANT, beta, speed_target=99)
    found = await of_users(
        classes, (user_id, None), (user_id, theirs), (stranger, None), (new_id(), None)
    )
    assert list(found) == [(user_id, None)]
    assert found[user_id, None].speed_target == NOBODY


async def test_however_many_people_it_is_one_statement(
    classes: Classes, resources: Resources
) -> None:
    groups = [await classes.group(name=f"Typing {number}") for number in range(3)]
    user_ids = [await classes.student(groups[number % 3]) for number in range(30)]
    keys: list[UserKey] = [(user_id, None) for user_id in user_ids]
    keys += [(user_id, group_id) for user_id in user_ids for group_id in groups]
    async with resources.database.read(classes.tenant_id) as session:
        with counted_statements(resources.database.engine.sync_engine) as statements:
            found = await effective_of_users(session, classes.tenant_id, keys)
    assert (len(found), len(statements)) == (120, 1)


@dataclass
class Model:
    """The same in plain words. `said` is what each owner says; a person has at most one choice."""

    tenant_id: UUID
    said: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    school_of: dict[UUID, UUID] = field(default_factory=dict)
    groups_of: dict[UUID, list[UUID]] = field(default_factory=dict)
    schools_of: dict[UUID, list[UUID]] = field(default_factory=dict)
    chosen: dict[UUID, UUID] = field(default_factory=dict)

    def chain(self, user_id: UUID, group_id: UUID | None) -> list[tuple[SettingsLevel, UUID]]:
        """From whom a value may come, the nearest first."""
        theirs = self.groups_of[user_id]
        only = theirs[0] if len(theirs) == 1 else None
        choice = self.chosen.get(user_id)
        group = group_id or (choice if choice in theirs else only)
        schools = [self.school_of[group]] if group else self.schools_of[user_id][:1]
        return [
            (SettingsLevel.USER, user_id),
            *([(SettingsLevel.GROUP, group)] if group else []),
            *((SettingsLevel.SCHOOL, school) for school in schools),
            (SettingsLevel.TENANT, self.tenant_id),
        ]

    def nearest(self, user_id: UUID, group_id: UUID | None, name: str) -> Setting[Any]:
        for level, key in self.chain(user_id, group_id):
            value = self.said.get(key, {}).get(name)
            if value is not None:
                return Setting(value, level, key)
        return NOBODY


def places(most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, most), unique=True)


# Drawn before the test begins: what stops a draw would stop the event loop with it.
PLANS: Final = st.fixed_dictionaries(
    {
        "school_of_groups": st.lists(st.integers(0, 1), min_size=3, max_size=3),
        "people": st.lists(
            st.tuples(places(1), places(2), st.none() | st.integers(0, 2)), min_size=3, max_size=3
        ),
        "said": st.lists(st.none() | VALUES, min_size=9, max_size=9),
    }
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(plan=PLANS)
async def test_the_database_says_what_the_model_says(
    classes: Classes, plan: Mapping[str, Any]
) -> None:
    see = classes.see
    model = Model(await add_tenant(see, f"t{new_id()}"))
    schools, groups, users = await _people(see, model, plan)
    owners = [
        (SettingsLevel.TENANT, model.tenant_id),
        *((SettingsLevel.SCHOOL, key) for key in schools),
        *((SettingsLevel.GROUP, key) for key in groups),
        *((SettingsLevel.USER, key) for key in users),
    ]
    for (level, key), values in zip(owners, plan["said"], strict=True):
        if values is not None:
            model.said[key] = values
            await set_of(see, model.tenant_id, level, key, **values)
    keys = [(user_id, group_id) for user_id in users for group_id in (None, *groups)]
    async with classes.api.read(model.tenant_id) as session:
        found = await effective_of_users(session, model.tenant_id, keys)
    assert {(key, name): getattr(found[key], name) for key in keys for name in FIELDS} == {
        (key, name): model.nearest(*key, name) for key in keys for name in FIELDS
    }


async def _people(
    see: asyncpg.Connection, model: Model, plan: Mapping[str, Any]
) -> tuple[Sequence[UUID], Sequence[UUID], Sequence[UUID]]:
    """Two schools, three groups and three people, each in some of them."""
    tenant_id = model.tenant_id
    schools = [await add_school(see, tenant_id) for _ in range(2)]
    for place in plan["school_of_groups"]:
        group_id = await add_group(see, tenant_id, schools[place])
        model.school_of[group_id] = schools[place]
    groups = list(model.school_of)
    for their_schools, their_groups, choice in plan["people"]:
        theirs = [schools[place] for place in their_schools]
        user_id = await add_user(see, tenant_id, schools=theirs)
        model.schools_of[user_id] = theirs
        model.groups_of[user_id] = [groups[place] for place in their_groups]
        for group_id in model.groups_of[user_id]:
            await add_membership(see, tenant_id, user_id, group_id)
        if choice is not None:
            model.chosen[user_id] = groups[choice]
            await see.execute(
                "INSERT INTO default_places (tenant_id, user_id, group_id, group_set_at)"
                " VALUES ($1, $2, $3, now())",
                tenant_id,
                user_id,
                model.chosen[user_id],
            )
    return schools, groups, list(model.groups_of)
