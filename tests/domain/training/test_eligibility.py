"""Saying here who may use the product: it wins, survives every sync, and takes licences."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.clock import new_id, utc_now
from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.callers import Caller
from domain.resources import Resources
from domain.secrets import KeyRing
from domain.training.eligibility_setting import (
    Eligibility,
    EligibilitySource,
    Whose,
    eligibility_of_users,
    set_eligibility,
)
from domain.training.selection import Selection
from tests.api.graphql.seed import (
    add_group,
    add_membership,
    add_school,
    add_tenant,
    add_user,
)
from tests.api.graphql.signed_in import add_session
from tests.builders import small_district
from tests.domain.sync.stories import new_story

pytestmark = pytest.mark.anyio

TOKEN = Caller(actor="token office", name="Office", tenant_id=new_id())
OPERATOR = Caller(actor="token operator", name="Operator")


@pytest.fixture(name="tenant_id")
async def fixture_tenant_id(superuser: asyncpg.Connection) -> UUID:
    return await add_tenant(superuser, "alpha")


async def put(
    resources: Resources, tenant_id: UUID, whose: Whose, value: bool | None, caller: Caller = TOKEN
) -> int:
    async with resources.database.transaction(tenant_id) as session:
        return await set_eligibility(
            session, tenant_id=tenant_id, whose=whose, value=value, caller=caller
        )


async def said(superuser: asyncpg.Connection) -> dict[UUID, bool]:
    rows = await superuser.fetch("SELECT user_id, is_eligible FROM eligibility_overrides")
    return {row["user_id"]: row["is_eligible"] for row in rows}


async def limit(superuser: asyncpg.Connection, number: int) -> None:
    await superuser.execute("UPDATE subscriptions SET licence_limit = $1", number)


async def test_what_is_said_here_wins_and_is_taken_back(
    resources: Resources, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    user_id = await add_user(superuser, tenant_id, is_eligible=False)
    only = Whose(user_ids=[user_id])

    async def read() -> Eligibility:
        async with resources.database.read(tenant_id) as session:
            return (await eligibility_of_users(session, tenant_id, [user_id]))[user_id]

    assert await read() == Eligibility(
        is_eligible=False,
        source=EligibilitySource.PROVIDER,
        provider_says=False,
        set_at=None,
        set_by=None,
    )
    assert await put(resources, tenant_id, only, True) == 1
    found = await read()
    assert found[:3] == (True, EligibilitySource.LOCAL, False)
    assert found.set_by == "token office"
    assert found.set_at is not None
    assert utc_now() - found.set_at < timedelta(minutes=1)
    assert await put(resources, tenant_id, only, True) == 0
    assert await put(resources, tenant_id, only, None) == 1
    assert (await read())[:3] == (False, EligibilitySource.PROVIDER, False)


async def test_a_school_a_group_and_a_grade_mean_their_live_students(
    resources: Resources, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    north, south = [await add_school(superuser, tenant_id) for _ in range(2)]
    group = await add_group(superuser, tenant_id, north)
    ann = await add_user(superuser, tenant_id, schools=[north], grades=["03"])
    ben = await add_user(superuser, tenant_id, schools=[north], grades=["04"])
    cid = await add_user(superuser, tenant_id, schools=[south], grades=["03"])
    await add_user(superuser, tenant_id, schools=[north], roles=["TEACHER"])
    gone = await add_user(superuser, tenant_id, schools=[north], archived_at=utc_now())
    await add_membership(superuser, tenant_id, ann, group)
    await add_membership(superuser, tenant_id, gone, group)
    await add_membership(superuser, tenant_id, ben, group, archived_at=utc_now())
    cases: list[tuple[dict[str, Any], set[UUID]]] = [
        ({"school_id": north}, {ann, ben}),
        ({"group_id": group}, {ann}),
        ({"grade": "03"}, {ann, cid}),
        ({"school_id": north, "grade": "03"}, {ann}),
    ]
    for given, meant in cases:
        whose = Whose(selection=Selection(**given))
        assert await put(resources, tenant_id, whose, False) == len(meant)
        assert await said(superuser) == dict.fromkeys(meant, False)
        assert await put(resources, tenant_id, whose, None) == len(meant)


async def test_no_more_students_are_let_in_than_there_are_licences(
    resources: Resources, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    users = [await add_user(superuser, tenant_id, is_eligible=False) for _ in range(3)]
    await add_user(superuser, tenant_id)
    await limit(superuser, 3)
    with pytest.raises(Conflict) as refused:
        await put(resources, tenant_id, Whose(user_ids=users), True)
    assert refused.value.field == "isEligible"
    assert str(refused.value) == (
        "There are not licences enough: 3 in all, 1 taken, and 3 more would be. Only an operator"
        " may go beyond."
    )
    assert await said(superuser) == {}
    assert await put(resources, tenant_id, Whose(user_ids=users[:2]), True) == 2
    assert await put(resources, tenant_id, Whose(user_ids=users), True, OPERATOR) == 1
    # Who is too many already may go, and nobody is hindered by them.
    assert await put(resources, tenant_id, Whose(user_ids=users[:1]), False) == 1


async def test_taking_back_a_no_needs_a_licence_too(
    resources: Resources, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    user_id = await add_user(superuser, tenant_id)
    await put(resources, tenant_id, Whose(user_ids=[user_id]), False)
    await limit(superuser, 0)
    with pytest.raises(Conflict):
        await put(resources, tenant_id, Whose(user_ids=[user_id]), None)
    assert await said(superuser) == {user_id: False}


async def test_sessions_of_those_who_may_not_any_more_end(
    resources: Resources, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    staying, leaving, other = [await add_user(superuser, tenant_id) for _ in range(3)]
    for number, user_id in enumerate((staying, leaving, other)):
        await add_session(superuser, tenant_id, f"secret-{number}", user_id=user_id)
    await put(resources, tenant_id, Whose(user_ids=[staying]), True)
    await put(resources, tenant_id, Whose(user_ids=[leaving]), False)
    open_ones = await superuser.fetch("SELECT user_id FROM sessions WHERE ended_at IS NULL")
    assert {row["user_id"] for row in open_ones} == {staying, other}


async def test_it_is_in_the_audit_log(
    resources: Resources, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    user_id = await add_user(superuser, tenant_id)
    await put(resources, tenant_id, Whose(user_ids=[user_id]), False)
    row = await superuser.fetchrow("SELECT actor, action, target, details::text FROM audit_log")
    assert tuple(row)[:3] == ("token office", "eligibilitySet", str(user_id))
    assert row["details"] == (f'{{"changed": 1, "user_ids": ["{user_id}"], "is_eligible": false}}')


async def test_who_and_what_is_not_there_is_refused(
    resources: Resources, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    stranger = await add_user(superuser, await add_tenant(superuser, "beta"))
    with pytest.raises(NotFound):
        await put(resources, tenant_id, Whose(user_ids=[stranger]), True)
    with pytest.raises(NotFound):
        await put(resources, tenant_id, Whose(selection=Selection(school_id=new_id())), True)
    with pytest.raises(InvalidInput) as none:
        await put(resources, tenant_id, Whose(), True)
    assert none.value.field == "filter"
    with pytest.raises(InvalidInput) as many:
        await put(resources, tenant_id, Whose(user_ids=[new_id()] * 1001), True)
    assert many.value.field == "userIds"


async def test_it_survives_a_sync_that_says_otherwise(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> None:
    story = new_story(
        resources.database, worker_resources.database, superuser, folder=tmp_path / "x", keys=keys
    )
    story.district = small_district()
    await story.begin("gamma")
    await story.night()
    ann = (await story.ids("users"))["ann"]
    await put(resources, story.tenant_id, Whose(user_ids=[ann]), False)
    story.district.users.change("ann", givenName="Anna")
    await story.night()
    assert await said(superuser) == {ann: False}
    async with resources.database.read(story.tenant_id) as session:
        found = (await eligibility_of_users(session, story.tenant_id, [ann]))[ann]
    assert (found.is_eligible, found.provider_says) == (False, True)
