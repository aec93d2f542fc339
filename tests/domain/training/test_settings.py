"""Settings of one level: set, taken away, counted, and never overwritten unseen."""

import asyncio
import re
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.clock import new_id
from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.callers import Caller
from domain.training.effective import SettingsLevel
from domain.training.layouts import LAYOUTS, get_layout
from domain.training.models import AgeGroup
from domain.training.settings import FIELDS, Owner, OwnSettings, set_settings
from tests.api.graphql.seed import add_school, add_tenant
from tests.domain.training.classes import Classes

pytestmark = pytest.mark.anyio

ADA = Caller(actor="token ada", name="Ada")
BEN = Caller(actor="token ben", name="Ben")
TENANT, SCHOOL, GROUP, USER = (
    SettingsLevel.TENANT,
    SettingsLevel.SCHOOL,
    SettingsLevel.GROUP,
    SettingsLevel.USER,
)


async def put(
    classes: Classes, owner: Owner, *, version: int | None = None, by: Caller = ADA, **values: Any
) -> OwnSettings:
    async with classes.api.transaction(classes.tenant_id) as session:
        return await set_settings(
            session,
            tenant_id=classes.tenant_id,
            owner=owner,
            values=values,
            version=version,
            caller=by,
        )


async def take_away(
    classes: Classes, owner: Owner, *fields: str, version: int | None = None
) -> OwnSettings:
    values = dict.fromkeys(fields or FIELDS)
    return await put(classes, owner, version=version, by=BEN, **values)


async def stored(classes: Classes) -> list[tuple[Any, ...]]:
    rows = await classes.see.fetch(
        "SELECT coalesce(school_id, group_id, user_id, tenant_id), speed_target, accuracy_target,"
        " keyboard_layout, has_avatars, age_group, version, updated_by FROM training_settings"
        " ORDER BY id"
    )
    return [tuple(row) for row in rows]


async def audited(classes: Classes) -> list[tuple[str, str, str]]:
    rows = await classes.see.fetch(
        "SELECT actor, target, details ->> 'level' FROM audit_log"
        " WHERE action LIKE 'trainingSettings%' ORDER BY id"
    )
    return [tuple(row) for row in rows]


@pytest.fixture
async def owners(classes: Classes) -> dict[SettingsLevel, Owner]:
    group_id = await classes.group()
    keys: dict[SettingsLevel, UUID] = {
        TENANT: classes.tenant_id,
        SCHOOL: classes.school_id,
        GROUP: group_id,
        USER: await classes.student(group_id),
    }
    return {level: Owner(level, key) for level, key in keys.items()}


async def test_each_level_has_settings_of_its_own_with_who_set_them(
    classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    for speed, owner in enumerate(owners.values(), 1):
        found = await put(classes, owner, speed_target=speed, has_avatars=False)
        assert (found.speed_target, found.version, found.updated_by) == (speed, 1, "token ada")
    await put(classes, owners[GROUP], age_group=AgeGroup.EARLY, accuracy_target=95)
    assert await stored(classes) == [
        (owners[TENANT].key, 1, None, None, False, None, 1, "token ada"),
        (owners[SCHOOL].key, 2, None, None, False, None, 1, "token ada"),
        (owners[GROUP].key, 3, 95, None, False, "EARLY", 2, "token ada"),
        (owners[USER].key, 4, None, None, False, None, 1, "token ada"),
    ]
    assert (await audited(classes))[1:4] == [
        ("token ada", str(owners[SCHOOL].key), "SCHOOL"),
        ("token ada", str(owners[GROUP].key), "GROUP"),
        ("token ada", str(owners[USER].key), "USER"),
    ]


async def test_what_is_taken_away_is_not_set_and_the_version_goes_on(
    classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    user = owners[USER]
    await put(classes, user, speed_target=30, accuracy_target=90, keyboard_layout="US")
    await put(classes, user, accuracy_target=None)
    assert await stored(classes) == [(user.key, 30, None, "us", None, None, 2, "token ada")]
    await take_away(classes, user, "speed_target")
    assert await stored(classes) == [(user.key, None, None, "us", None, None, 3, "token ben")]
    found = await take_away(classes, user, version=3)
    assert found[:5] == (None,) * 5
    assert await stored(classes) == [(user.key, None, None, None, None, None, 4, "token ben")]
    assert len(await audited(classes)) == 4


async def test_the_same_again_is_no_act_and_no_new_version(
    classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    assert (await take_away(classes, owners[USER])).version == 0
    assert (await put(classes, owners[USER], speed_target=None)).version == 0
    assert await stored(classes) == []
    await put(classes, owners[USER], speed_target=30)
    assert (await put(classes, owners[USER], speed_target=30, version=1)).version == 1
    assert len(await audited(classes)) == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"speed_target": 0}, "speedTarget"),
        ({"speed_target": 251}, "speedTarget"),
        ({"accuracy_target": -1}, "accuracyTarget"),
        ({"accuracy_target": 101}, "accuracyTarget"),
        ({"keyboard_layout": "klingon"}, "keyboardLayout"),
        ({"age_group": AgeGroup.HIGH}, "ageGroup"),
    ],
)
async def test_what_is_out_of_bounds_is_refused(
    values: dict[str, Any], field: str, classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await put(classes, owners[USER], **{"has_avatars": True} | values)
    assert refused.value.field == field
    assert await stored(classes) == []


@pytest.mark.parametrize(("speed", "accuracy"), [(1, 0), (250, 100)])
async def test_the_bounds_themselves_are_good(
    speed: int, accuracy: int, classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    found = await put(classes, owners[USER], speed_target=speed, accuracy_target=accuracy)
    assert found[:2] == (speed, accuracy)


async def test_a_stale_version_is_told_who_changed_them(
    classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    school = owners[SCHOOL]
    with pytest.raises(Conflict) as refused:
        await put(classes, school, speed_target=10, version=1)
    assert refused.value.field == "version"
    await put(classes, school, speed_target=10, version=0)
    await put(classes, school, by=BEN, speed_target=20, version=1)
    with pytest.raises(Conflict, match=r"version 2, not 1: token ben changed them at \d{4}-"):
        await put(classes, school, speed_target=30, version=1)
    assert await stored(classes) == [(school.key, 20, None, None, None, None, 2, "token ben")]


async def test_of_two_who_have_seen_the_same_only_one_sets(
    classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    """At the first setting of a level too, when there is no row to lock yet."""
    for version in (0, 1):
        outcomes = await asyncio.gather(
            *(put(classes, owners[USER], speed_target=10 * n + version, version=version, by=by)
              for n, by in ((1, ADA), (2, BEN), (3, ADA))),
            return_exceptions=True,
        )  # fmt: skip
        kinds = sorted(type(outcome).__name__ for outcome in outcomes)
        assert kinds == ["Conflict", "Conflict", "OwnSettings"]
    [row] = await stored(classes)
    assert row[6] == 2


async def test_without_a_version_two_who_set_other_fields_both_count(
    classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    await asyncio.gather(
        put(classes, owners[GROUP], speed_target=30), put(classes, owners[GROUP], has_avatars=True)
    )
    [row] = await stored(classes)
    assert (row[1], row[4], row[6]) == (30, True, 2)


async def test_the_archived_keep_settings_and_may_be_given_others(
    classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    await put(classes, owners[GROUP], speed_target=30)
    await classes.see.execute("UPDATE groups SET archived_at = now()")
    assert (await put(classes, owners[GROUP], speed_target=31, version=1)).version == 2


async def test_what_is_not_there_or_another_tenants_is_not_found(
    classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    beta = await add_tenant(classes.see, "beta")
    theirs = await add_school(classes.see, beta)
    strangers = [Owner(level, new_id()) for level in owners]
    for owner in (*strangers, Owner(SCHOOL, theirs), Owner(TENANT, beta)):
        with pytest.raises(NotFound):
            await put(classes, owner, speed_target=30)
    assert await stored(classes) == []


async def test_the_training_applications_version_moves_on(
    classes: Classes, owners: dict[SettingsLevel, Owner]
) -> None:
    for expected in (1, 2):
        await put(classes, owners[TENANT], speed_target=30 + expected)
        async with classes.api.read(classes.tenant_id) as session:
            # The row is made and then filled; any other number is as good.
            found = await session.scalar(text("SELECT version FROM training_versions"))
        assert found >= expected


def test_the_ids_of_layouts_are_those_of_xkb_and_unique() -> None:
    ids = [layout.layout_id for layout in LAYOUTS]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(\([a-z_-]+\))?", layout_id) for layout_id in ids)
    named = {"us", "gb", "ca", "fr", "be", "de", "ch", "us(dvorak)", "us(colemak)", "us(intl)"}
    assert named <= set(ids)


def test_a_layout_is_found_whatever_its_case_and_else_the_near_ones_are_named() -> None:
    assert get_layout("US(Dvorak)").layout_id == "us(dvorak)"
    with pytest.raises(InvalidInput, match=r"Is it .*us\(dvorak\)"):
        get_layout("us(dvorac)")
    with pytest.raises(InvalidInput, match="keyboardLayouts lists them all"):
        get_layout("")
