"""Acts of people who see a part: within it they work, and beyond it they are told why not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.clock import utc_now
from domain.database import Database
from domain.errands.models import ErrandKind
from domain.errands.perform import perform_errand
from domain.errands.service import request_errand, wait_for_errand
from domain.errors import Forbidden, NotFound
from domain.files.exports import ExportKind, claim_export, create_export
from domain.people.callers import Caller
from domain.people.sessions import find_session
from domain.resources import Resources
from domain.roster.models import User
from domain.sync.downloads import begin_download
from domain.sync.exports import ErrorChoice, error_rows
from domain.training.bulk import check_bulk
from domain.training.defaults import set_default_group, set_default_school
from domain.training.effective import SettingsLevel
from domain.training.selection import Selection
from domain.training.settings import Owner, set_settings
from tests.api.graphql.seed import (
    add_error,
    add_group,
    add_integration,
    add_membership,
    add_run,
    add_school,
    add_tenant,
    add_user,
)
from tests.api.graphql.signed_in import add_session

pytestmark = pytest.mark.anyio

Keys = Mapping[str, UUID]


@dataclass(frozen=True)
class Town:
    """Two schools with a class each; a student, a teacher, an admin and staff of the near one."""

    api: Database
    worker: Database
    see: asyncpg.Connection
    tenant_id: UUID
    keys: Keys

    async def caller(self, name: str) -> Caller:
        async with self.api.read() as session:
            found = await find_session(session, f"hrs_{name}", now=utc_now())
        assert found
        return found.caller

    async def set_speed(self, name: str, level: SettingsLevel, owner: str) -> None:
        caller = await self.caller(name)
        async with self.api.within(caller.reach).transaction(self.tenant_id) as session:
            await set_settings(
                session,
                tenant_id=self.tenant_id,
                owner=Owner(level, self.keys[owner]),
                values={"speed_target": 40},
                version=None,
                caller=caller,
            )

    async def choose(self, name: str, what: str, owner: str) -> None:
        """Take the choice of a place back and make it again."""
        caller = await self.caller(name)
        act: Any = set_default_group if what == "group" else set_default_school
        async with self.api.within(caller.reach).transaction(self.tenant_id) as session:
            for key in (self.keys[what], None):
                given = {f"{what}_id": key, "user_id": self.keys[owner]}
                await act(session, tenant_id=self.tenant_id, caller=caller, now=utc_now(), **given)

    async def set_in_bulk(self, name: str, selection: Selection) -> Mapping[str, Any] | None:
        caller = await self.caller(name)
        api = self.api.within(caller.reach)
        async with api.transaction(self.tenant_id) as session:
            asked = await check_bulk(session, self.tenant_id, selection, {"speed_target": 40})
            errand_id = await request_errand(
                session,
                tenant_id=self.tenant_id,
                kind=ErrandKind.SETTINGS_BULK,
                asked=asked,
                caller=caller,
            )
        assert await perform_errand(self.worker)
        return await wait_for_errand(api, tenant_id=self.tenant_id, errand_id=errand_id, seconds=1)

    async def were_set(self) -> set[str]:
        rows = await self.see.fetch("SELECT user_id FROM training_settings")
        names = {key: name for name, key in self.keys.items()}
        return {names[row[0]] for row in rows}


@pytest.fixture
async def town(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> Town:
    tenant_id = await add_tenant(superuser, "alpha")
    keys = {"tenant": tenant_id}
    for where in ("near", "far"):
        school = await add_school(superuser, tenant_id, source_id=f"{where} school")
        group = await add_group(superuser, tenant_id, school, source_id=f"{where} group")
        student = await add_user(
            superuser, tenant_id, schools=[school], is_eligible=True, source_id=f"{where} student"
        )
        await add_membership(superuser, tenant_id, student, group)
        keys |= {f"{where}_school": school, f"{where}_group": group, f"{where}_student": student}
    keys |= {"school": keys["near_school"], "group": keys["near_group"]}
    near = [keys["near_school"]]
    for role in ("SCHOOL_ADMIN", "TEACHER", "STAFF"):
        keys[role.lower()] = await add_user(superuser, tenant_id, roles=[role], schools=near)
        await add_session(superuser, tenant_id, f"hrs_{role.lower()}", user_id=keys[role.lower()])
    await add_session(superuser, tenant_id, "hrs_near_student", user_id=keys["near_student"])
    await add_membership(superuser, tenant_id, keys["teacher"], keys["near_group"], role="TEACHER")
    keys["next_student"] = await add_user(superuser, tenant_id, schools=near)
    return Town(resources.database, worker_resources.database, superuser, tenant_id, keys)


OF_STUDENTS = (
    "Only teachers of the student and administrators of their school may change their settings."
)
LEVELS = {
    "tenant": SettingsLevel.TENANT,
    "school": SettingsLevel.SCHOOL,
    "group": SettingsLevel.GROUP,
}


def level_of(owner: str) -> SettingsLevel:
    return LEVELS.get(owner.rpartition("_")[2], SettingsLevel.USER)


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("teacher", "near_group"),
        ("teacher", "near_student"),
        ("school_admin", "near_school"),
        ("school_admin", "near_group"),
        ("school_admin", "near_student"),
        ("school_admin", "next_student"),
    ],
)
async def test_settings_are_set_within_the_reach(town: Town, name: str, owner: str) -> None:
    await town.set_speed(name, level_of(owner), owner)
    row = await town.see.fetchrow(
        "SELECT coalesce(user_id, group_id, school_id), speed_target, updated_by"
        " FROM training_settings"
    )
    assert tuple(row) == (town.keys[owner], 40, f"user {town.keys[name]}")
    assert await town.see.fetchval("SELECT actor FROM audit_log") == f"user {town.keys[name]}"


@pytest.mark.parametrize(
    ("name", "owner", "why"),
    [
        (
            "school_admin", "tenant",
            "Only a district's administrators may change the settings of all of it.",
        ),
        (
            "teacher", "tenant",
            "Only a district's administrators may change the settings of all of it.",
        ),
        ("teacher", "near_school", "Only administrators of the school may change its settings."),
        (
            "staff", "near_group",
            "Only teachers of the group and administrators of its school may change its settings.",
        ),
        (
            "staff", "near_student",
            OF_STUDENTS,
        ),
        (
            "school_admin", "teacher",
            OF_STUDENTS,
        ),
    ],
)  # fmt: skip
async def test_what_is_seen_and_not_changed_is_refused_with_a_reason(
    town: Town, name: str, owner: str, why: str
) -> None:
    with pytest.raises(Forbidden) as refused:
        await town.set_speed(name, level_of(owner), owner)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("teacher", "far_student"),
        ("teacher", "next_student"),
        ("teacher", "far_group"),
        ("teacher", "far_school"),
        ("school_admin", "far_student"),
        ("school_admin", "far_school"),
    ],
)
async def test_what_is_not_seen_is_not_there(town: Town, name: str, owner: str) -> None:
    with pytest.raises(NotFound, match=str(town.keys[owner])):
        await town.set_speed(name, level_of(owner), owner)


@pytest.mark.parametrize("name", ["near_student", "teacher", "school_admin"])
@pytest.mark.parametrize("what", ["group", "school"])
async def test_a_place_is_chosen_for_oneself_and_for_ones_students(
    town: Town, name: str, what: str
) -> None:
    await town.choose(name, what, "near_student")
    acts = await town.see.fetch("SELECT actor, action FROM audit_log")
    assert [tuple(row) for row in acts] == [
        (f"user {town.keys[name]}", f"default{what.capitalize()}Set")
    ] * 2


@pytest.mark.parametrize("what", ["group", "school"])
async def test_a_place_is_not_chosen_for_others(town: Town, what: str) -> None:
    with pytest.raises(Forbidden) as refused:
        await town.choose("staff", what, "near_student")
    assert str(refused.value) == (
        "Only the person, their teachers and administrators of their school may choose where they"
        " land."
    )
    for name, owner in (("near_student", "teacher"), ("staff", "far_student")):
        with pytest.raises(NotFound):
            await town.choose(name, what, owner)


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("teacher", {"near_student"}),
        ("school_admin", {"near_student", "next_student"}),
        ("staff", set()),
    ],
)
async def test_a_worker_sets_in_bulk_those_alone_whom_the_asker_may(
    town: Town, name: str, who: set[str]
) -> None:
    done = await town.set_in_bulk(name, Selection())
    assert done == {"matched": len(who), "changed": len(who)}
    assert await town.were_set() == who


async def test_a_bulk_of_a_place_that_is_not_seen_is_not_there(town: Town) -> None:
    for selection in (
        Selection(school_id=town.keys["far_school"]),
        Selection(group_id=town.keys["far_group"]),
    ):
        with pytest.raises(NotFound):
            await town.set_in_bulk("teacher", selection)
    assert await town.were_set() == set()


async def test_a_link_downloads_what_its_asker_sees(town: Town) -> None:
    integration = await add_integration(town.see, town.tenant_id)
    run = await add_run(town.see, town.tenant_id, integration)
    for where in ("near", "far"):
        await add_error(town.see, town.tenant_id, run, source_id=f"{where} student")
    caller = await town.caller("school_admin")
    async with town.api.within(caller.reach).transaction(town.tenant_id) as session:
        ticket = await create_export(
            session,
            tenant_id=town.tenant_id,
            kind=ExportKind.VALIDATION_ERRORS,
            choice={},
            caller=caller,
            now=utc_now(),
        )
    async with town.api.transaction() as session:
        export = await claim_export(session, ticket.secret)
        assert export
        assert caller.reach
        assert export.reach == caller.reach.stored()
        assert await session.get(User, (town.tenant_id, town.keys["far_student"])) is None
        rows = [row async for row in error_rows(
            session, tenant_id=town.tenant_id, choice=ErrorChoice.of(export.choice)
        )]  # fmt: skip
        assert [row[6] for row in rows] == ["near student"]
        download = await begin_download(
            session, tenant_id=town.tenant_id, choice=ErrorChoice(), caller=caller
        )
    assert download.reach == caller.reach
