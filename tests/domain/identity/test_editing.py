"""Adding and changing by hand what no provider manages, as the worker does it."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.clock import new_id, utc_now
from domain.errands.models import ErrandKind
from domain.errands.perform import perform_errand
from domain.errands.service import request_errand, wait_for_errand
from domain.errors import Conflict, InvalidInput, NotFound, ProviderManaged
from domain.identity.editing import Act, Asked, edit_roster
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources
from tests.api.graphql.seed import (
    add_group,
    add_integration,
    add_membership,
    add_school,
    add_tenant,
    add_user,
)
from tests.api.graphql.signed_in import add_session
from tests.domain.identity.people import NOTHING, add_club, add_legacy_person, memberships, person
from tests.domain.sync.stories import Story, totals

pytestmark = pytest.mark.anyio

Edit = Callable[..., Awaitable[UUID]]
MIA = {"username": "mia.lee", "given_name": "Mia", "family_name": "Lee", "roles": ["STUDENT"]}


@pytest.fixture(name="tenant_id")
async def fixture_tenant_id(superuser: asyncpg.Connection) -> UUID:
    return await add_tenant(superuser, "alpha")


@pytest.fixture(name="edit")
async def fixture_edit(worker_resources: Resources, tenant_id: UUID) -> Edit:
    """Does an edit as a worker; it is of this tenant."""

    async def edit(act: Act, record_id: UUID | None = None, **given: Any) -> UUID:
        asked = Asked(act, record_id, given).as_errand()
        async with worker_resources.database.transaction(tenant_id) as session:
            done = await edit_roster(session, tenant_id, asked, COMMAND_LINE)
        return UUID(done["id"])

    return edit


async def test_a_person_is_added_as_one_who_was_there_before_rostering(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    north, south = [await add_school(superuser, tenant_id, origin="LEGACY") for _ in range(2)]
    user_id = await edit(
        Act.USER_CREATE, **MIA | {"roles": ["TEACHER", "STUDENT", "TEACHER"]},
        email=" Mia@Example.org ", grades=["k", "3", "03"], school_ids=[str(south), str(north)],
    )  # fmt: skip
    row = await person(superuser, user_id)
    shown = ("origin", "username", "given_name", "email", "roles", "grades", "is_enabled", "keys")
    assert [row[name] for name in shown] == [
        *("LEGACY", "mia.lee", "Mia", "mia@example.org", ["STUDENT", "TEACHER"], ["KG", "03"]),
        *(True, []),
    ]
    assert (row["source_id"], row["content_hash"], row["archived_at"]) == (None, None, None)
    places = await superuser.fetch("SELECT school_id FROM school_affiliations ORDER BY position")
    assert [place[0] for place in places] == [south, north]


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"username": "  "}, "username", "Give at least one character."),
        ({"username": None}, "username", "This cannot be left open."),
        ({"given_name": "x" * 201}, "givenName", "This is longer than 200 characters."),
        ({"family_name": "a\nb"}, "familyName",
         "There are characters here that cannot be shown, such as line breaks."),
        ({"email": "mia"}, "email", "'mia' is not an email address."),
        ({"grades": ["99"]}, "grades",
         "'99' is not a grade: give a CEDS code, such as KG or 03."),
        ({"roles": []}, "roles", "Give 1 to 100 values."),
        ({"roles": ["KING"]}, "roles",
         "'KING' is none of: STUDENT, TEACHER, STAFF, SCHOOL_ADMIN, DISTRICT_ADMIN."),
    ],
)  # fmt: skip
async def test_a_wrong_value_is_refused_with_its_field(
    edit: Edit, superuser: asyncpg.Connection, given: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await edit(Act.USER_CREATE, **MIA | given)
    assert (refused.value.field, str(refused.value)) == (field, message)
    assert await superuser.fetchval("SELECT count(*) FROM users") == 0


async def test_a_username_that_is_taken_is_told_with_who_has_it(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    holder = await add_user(superuser, tenant_id, username="MIA.LEE", origin="LEGACY")
    other = await add_user(superuser, tenant_id, username="tom", origin="LEGACY")
    for asked in ((Act.USER_CREATE, None, MIA), (Act.USER_UPDATE, other, {"username": "Mia.Lee"})):
        act, record_id, given = asked
        with pytest.raises(Conflict) as refused:
            await edit(act, record_id, **given)
        assert refused.value.field == "username"
        assert str(refused.value) == f"The person '{holder}' has this username."
    assert await edit(Act.USER_UPDATE, holder, username="mia.lee") == holder
    await edit(Act.USER_ARCHIVE, holder)
    await edit(Act.USER_UPDATE, other, username="mia.lee")
    with pytest.raises(Conflict) as back:
        await edit(Act.USER_RESTORE, holder)
    assert str(back.value) == f"The person '{other}' has this username."


async def test_what_is_left_out_stays_and_null_takes_away(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    user_id = await add_user(
        superuser, tenant_id, origin="IMPORT", username="mia", email="mia@example.org", number="7",
        content_hash=5,
    )  # fmt: skip
    await edit(Act.USER_UPDATE, user_id, email=None, family_name="Fox", grades=None)
    row = await person(superuser, user_id)
    shown = ("origin", "username", "given_name", "family_name", "email", "number", "grades")
    assert [row[name] for name in shown] == ["IMPORT", "mia", "Mia", "Fox", None, "7", []]
    assert row["content_hash"] is None


async def test_a_person_goes_and_comes_back_with_their_memberships_and_sessions_end(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    school = await add_school(superuser, tenant_id, origin="LEGACY")
    names = ("kept", "closed", "left")
    kept, closed, left = [
        await add_group(superuser, tenant_id, school, origin="LEGACY", name=name) for name in names
    ]
    user_id = await add_user(superuser, tenant_id, origin="LEGACY")
    for group in (kept, closed):
        await add_membership(superuser, tenant_id, user_id, group, origin="LEGACY")
    before = {"origin": "LEGACY", "archived_at": utc_now()}
    await add_membership(superuser, tenant_id, user_id, left, **before)
    await add_session(superuser, tenant_id, "secret", user_id=user_id)
    await edit(Act.USER_ARCHIVE, user_id)
    await edit(Act.USER_ARCHIVE, user_id)
    assert (await person(superuser, user_id))["archived_at"] is not None
    assert await memberships(superuser, user_id) == {
        (name, "STUDENT", False) for name in ("kept", "closed", "left")
    }
    assert await superuser.fetchval("SELECT ended_at FROM sessions") is not None
    await superuser.execute("UPDATE groups SET archived_at = now() WHERE name = 'closed'")
    await edit(Act.USER_RESTORE, user_id)
    assert (await person(superuser, user_id))["archived_at"] is None
    assert await memberships(superuser, user_id) == {
        ("kept", "STUDENT", True), ("closed", "STUDENT", False), ("left", "STUDENT", False),
    }  # fmt: skip


async def test_who_was_merged_into_somebody_does_not_come_back(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    kept = await add_user(superuser, tenant_id, origin="LEGACY")
    merged = await add_user(
        superuser, tenant_id, origin="LEGACY", archived_at=utc_now(), merged_into_id=kept
    )
    with pytest.raises(Conflict, match="undo that merge"):
        await edit(Act.USER_RESTORE, merged)


async def test_a_group_is_added_and_changed(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    school = await add_school(superuser, tenant_id, origin="LEGACY")
    group_id = await edit(
        Act.GROUP_CREATE, school_id=str(school), name="Club", subjects=["Computers"],
        starts_on="2026-08-17", ends_on="2026-12-19",
    )  # fmt: skip
    await edit(Act.GROUP_UPDATE, group_id, name="Typing club", grades=["5"], code="C1")
    row = await superuser.fetchrow(
        "SELECT origin, name, code, grades, subjects, term_source_ids, starts_on::text FROM groups"
    )
    assert tuple(row) == (
        *("LEGACY", "Typing club", "C1", ["05"], ["Computers"], [], "2026-08-17"),
    )
    for given in ({"ends_on": "2026-08-17"}, {"starts_on": "2027-01-01"}):
        with pytest.raises(InvalidInput) as refused:
            await edit(Act.GROUP_UPDATE, group_id, **given)
        assert refused.value.field == "endsOn"
    with pytest.raises(InvalidInput) as unknown:
        await edit(Act.GROUP_UPDATE, group_id, school_id=str(new_id()))
    assert unknown.value.field == "schoolId"


async def test_a_membership_is_added_ends_and_comes_back(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    school = await add_school(superuser, tenant_id)
    group = await add_group(superuser, tenant_id, school, origin="IMPORT")
    user_id = await add_user(superuser, tenant_id)
    given = {"user_id": str(user_id), "group_id": str(group), "role": "STUDENT"}
    membership = await edit(Act.MEMBERSHIP_CREATE, **given)
    with pytest.raises(Conflict) as twice:
        await edit(Act.MEMBERSHIP_CREATE, **given)
    assert twice.value.field == "userId"
    assert await superuser.fetchval("SELECT origin FROM memberships") == "IMPORT"
    await edit(Act.MEMBERSHIP_ARCHIVE, membership)
    assert await memberships(superuser, user_id) == {("Typing 1", "STUDENT", False)}
    assert await edit(Act.MEMBERSHIP_CREATE, **given) == membership
    assert await memberships(superuser, user_id) == {("Typing 1", "STUDENT", True)}


async def test_what_a_provider_manages_is_refused_field_by_field(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID, subtests: pytest.Subtests
) -> None:
    await add_integration(superuser, tenant_id, provider="CLEVER")
    school = await add_school(superuser, tenant_id)
    group = await add_group(superuser, tenant_id, school)
    user_id = await add_user(superuser, tenant_id)
    membership = await add_membership(superuser, tenant_id, user_id, group)
    cases: list[tuple[Act, UUID | None, dict[str, Any], str, str]] = [
        (Act.USER_UPDATE, user_id, {name: None}, shown, shown)
        for name, shown in (
            *(("username", "username"), ("given_name", "givenName"), ("email", "email")),
            *(("family_name", "familyName"), ("preferred_given_name", "preferredGivenName")),
            *(("preferred_family_name", "preferredFamilyName"), ("number", "number")),
            *(("roles", "roles"), ("grades", "grades"), ("is_enabled", "isEnabled")),
        )
    ]
    cases += [
        (Act.USER_UPDATE, user_id, {"school_ids": []}, "schoolIds", "schools"),
        (Act.USER_UPDATE, user_id, {"email": "x", "number": "1"}, "email", "email, number"),
        (Act.USER_ARCHIVE, user_id, {}, "userId", "archivedAt"),
        (Act.USER_RESTORE, user_id, {}, "userId", "archivedAt"),
        (Act.GROUP_UPDATE, group, {"name": "X"}, "name", "name"),
        (Act.GROUP_UPDATE, group, {"school_id": str(school)}, "schoolId", "school"),
        (Act.SCHOOL_UPDATE, school, {"name": "X", "display_name": "Y"}, "name", "name"),
        (Act.MEMBERSHIP_ARCHIVE, membership, {}, "membershipId", "archivedAt"),
    ]
    for act, record_id, given, field, names in cases:
        with subtests.test(act=act.value, given=given):
            with pytest.raises(ProviderManaged) as refused:
                await edit(act, record_id, **given)
            assert (refused.value.provider, refused.value.field) == ("CLEVER", field)
            assert str(refused.value) == (
                f"Clever manages this: {names}. Change it in Clever, or in the student information"
                " system that feeds it; it comes with the next sync."
            )


async def test_nothing_is_added_by_hand_where_a_provider_rosters(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    integration = await add_integration(superuser, tenant_id, provider="CLASSLINK")
    school = await add_school(superuser, tenant_id)
    group = await add_group(superuser, tenant_id, school)
    user_id = str(await add_user(superuser, tenant_id))
    member = {"user_id": user_id, "group_id": str(group), "role": "STUDENT"}
    cases: list[tuple[Act, dict[str, Any], str]] = [
        (Act.USER_CREATE, MIA, "tenantId"),
        (Act.GROUP_CREATE, {"school_id": str(school), "name": "Club"}, "schoolId"),
        (Act.MEMBERSHIP_CREATE, member, "groupId"),
    ]
    for act, given, field in cases:
        with pytest.raises(ProviderManaged) as refused:
            await edit(act, **given)
        assert (refused.value.provider, refused.value.field) == ("CLASSLINK", field)
        assert "Administrators and staff" in str(refused.value)
    await superuser.execute(
        "UPDATE integrations SET status = 'DISCONNECTED' WHERE id = $1", integration
    )
    await edit(Act.USER_CREATE, **MIA)
    with pytest.raises(ProviderManaged, match="ClassLink"):
        await edit(Act.MEMBERSHIP_CREATE, **member)


async def test_no_more_students_come_than_there_are_licences(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    await superuser.execute("UPDATE subscriptions SET licence_limit = 1")
    user_id = await edit(Act.USER_CREATE, **MIA)
    with pytest.raises(Conflict) as refused:
        await edit(Act.USER_CREATE, **MIA | {"username": "tom"})
    assert refused.value.field == "roles"
    assert str(refused.value) == (
        "There are not licences enough: 1 in all, 1 taken, and 1 more would be. Only an operator"
        " may go beyond."
    )
    teacher = await edit(Act.USER_CREATE, **MIA | {"username": "tom", "roles": ["TEACHER"]})
    with pytest.raises(Conflict):
        await edit(Act.USER_UPDATE, teacher, roles=["STUDENT"])
    await edit(Act.USER_ARCHIVE, user_id)
    await edit(Act.USER_UPDATE, teacher, roles=["STUDENT"])
    with pytest.raises(Conflict):
        await edit(Act.USER_RESTORE, user_id)


async def test_a_district_that_has_admins_keeps_one(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    admin: dict[str, Any] = {"roles": ["DISTRICT_ADMIN"], "origin": "IMPORT"}
    first, second = [await add_user(superuser, tenant_id, **admin) for _ in range(2)]
    await edit(Act.USER_ARCHIVE, first)
    for act, given in (
        (Act.USER_ARCHIVE, {}),
        (Act.USER_UPDATE, {"roles": ["STAFF"]}),
        (Act.USER_UPDATE, {"is_enabled": False}),
    ):
        with pytest.raises(Conflict) as refused:
            await edit(act, second, **given)
        assert str(refused.value) == (
            f"The person '{second}' is the last enabled district admin: give somebody else that"
            " role first."
        )
    row = await person(superuser, second)
    assert (row["archived_at"], row["roles"], row["is_enabled"]) == (None, ["DISTRICT_ADMIN"], True)
    await edit(Act.USER_RESTORE, first)
    await edit(Act.USER_ARCHIVE, second)


async def test_who_is_not_there_is_not_found_and_the_act_is_in_the_log(
    edit: Edit, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    stranger = await add_user(superuser, await add_tenant(superuser, "beta"), origin="LEGACY")
    with pytest.raises(NotFound):
        await edit(Act.USER_UPDATE, stranger, given_name="X")
    user_id = await add_user(superuser, tenant_id, origin="LEGACY")
    await edit(Act.USER_UPDATE, user_id, given_name="Secret")
    row = await superuser.fetchrow("SELECT actor, action, target, details::text FROM audit_log")
    assert tuple(row) == (
        *("command line", "userUpdate", str(user_id), '{"fields": ["givenName"]}'),
    )


async def test_an_errand_that_is_refused_names_the_provider(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    tenant_id: UUID,
) -> None:
    await add_integration(superuser, tenant_id, provider="ONEROSTER")
    user_id = await add_user(superuser, tenant_id)
    asked = Asked(Act.USER_UPDATE, user_id, {"number": "8"}).as_errand()
    async with resources.database.transaction(tenant_id) as session:
        errand_id = await request_errand(
            session, tenant_id=tenant_id, kind=ErrandKind.ROSTER_EDIT, asked=asked,
            caller=COMMAND_LINE,
        )  # fmt: skip
    assert await perform_errand(worker_resources.database)
    with pytest.raises(ProviderManaged) as refused:
        await wait_for_errand(resources.database, tenant_id=tenant_id, errand_id=errand_id)
    assert (refused.value.provider, refused.value.field) == ("ONEROSTER", "number")


async def test_no_sync_sees_an_edit_as_a_change_and_none_takes_it_back(story: Story) -> None:
    aide = await add_legacy_person(story, "aide", origin="IMPORT", roles=["STAFF"])
    await add_club(story, aide)
    school = (await story.ids("schools"))["s1"]
    for act, record_id, given in (
        (Act.USER_UPDATE, aide, {"given_name": "Changed", "school_ids": [str(school)]}),
        (Act.SCHOOL_UPDATE, school, {"display_name": "North, as people call it"}),
    ):
        asked = Asked(act, record_id, given).as_errand()
        async with story.worker.transaction(story.tenant_id) as session:
            await edit_roster(session, story.tenant_id, asked, COMMAND_LINE)
    run = await story.night()
    assert totals(run) == NOTHING
    row = await person(story.see, aide)
    assert (row["given_name"], row["archived_at"]) == ("Changed", None)
    assert await memberships(story.see, aide) == {("Club", "STUDENT", True)}
    name = await story.see.fetchval("SELECT display_name FROM schools WHERE id = $1", school)
    assert name == "North, as people call it"
    story.district.orgs.change("s1", name="North Star")
    await story.night()
    shown = await story.see.fetchrow("SELECT name, display_name FROM schools WHERE id = $1", school)
    assert tuple(shown) == ("North Star", "North, as people call it")
