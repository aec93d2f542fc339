"""Where somebody lands who has signed in, and what they choose from."""

from uuid import UUID

import asyncpg
import pytest

from domain.clock import new_id, utc_now
from domain.errors import InvalidInput
from domain.people.callers import Caller, CallerRole
from domain.reach import Reach
from domain.signing_in.landing import Landing, PlaceKind, Spot, choose_place, landing_of
from tests.api.graphql.seed import add_group, add_membership, add_school
from tests.domain.signing_in.district import District

pytestmark = pytest.mark.anyio


async def landing(district: District, user_id: UUID) -> Landing:
    async with district.api.read(district.tenant_id) as session:
        return await landing_of(session, tenant_id=district.tenant_id, user_id=user_id)


async def choose(district: District, user_id: UUID | None, spot_id: UUID) -> None:
    caller = Caller(
        actor=f"user {user_id}",
        name="Mia",
        tenant_id=district.tenant_id,
        roles=frozenset({CallerRole.STUDENT}),
        user_id=user_id,
        account_id=None if user_id else new_id(),
    )
    reach = Reach(user_id, caller.actor) if user_id else None
    async with district.api.within(reach).transaction(district.tenant_id) as session:
        await choose_place(
            session,
            tenant_id=district.tenant_id,
            spot_id=spot_id,
            caller=caller,
            now=utc_now(),
        )


async def school(district: District, name: str, **values: object) -> Spot:
    key = await add_school(district.see, district.tenant_id, name=name, **values)
    return Spot(PlaceKind.SCHOOL, key, name)


async def group(district: District, name: str, *members: UUID) -> Spot:
    """In a school of its own."""
    school_id = await add_school(district.see, district.tenant_id)
    key = await add_group(district.see, district.tenant_id, school_id, name=name)
    for user_id in members:
        await add_membership(district.see, district.tenant_id, user_id, key)
    return Spot(PlaceKind.GROUP, key, name)


async def leave(see: asyncpg.Connection, user_id: UUID, spot: Spot) -> None:
    await see.execute(
        "UPDATE memberships SET archived_at = now() WHERE user_id = $1 AND group_id = $2",
        user_id,
        spot.id,
    )


async def test_who_has_nothing_lands_nowhere(alpha: District) -> None:
    mia = await alpha.person()
    await group(alpha, "Algebra")
    assert await landing(alpha, mia) == Landing(None, [])
    assert await landing(alpha, new_id()) == Landing(None, [])


async def test_the_only_group_is_where_one_lands(alpha: District, beta: District) -> None:
    home = await school(alpha, "North")
    mia = await alpha.person(schools=[home.id])
    algebra = await group(alpha, "Algebra", mia)
    assert await landing(alpha, mia) == Landing(algebra, [algebra])
    assert await landing(beta, mia) == Landing(None, [])


async def test_of_several_groups_one_is_asked_for_and_kept(alpha: District) -> None:
    mia = await alpha.person()
    biology, algebra = await group(alpha, "Biology", mia), await group(alpha, "Algebra", mia)
    gone = await group(alpha, "Choir", mia)
    await leave(alpha.see, mia, gone)
    assert await landing(alpha, mia) == Landing(None, [algebra, biology])
    await choose(alpha, mia, biology.id)
    assert await landing(alpha, mia) == Landing(biology, [algebra, biology])
    assert (await alpha.acts())[-1][:3] == (f"user {mia}", "defaultGroupSet", str(mia))
    # A choice of a group that is not theirs any more does not count.
    await leave(alpha.see, mia, biology)
    assert await landing(alpha, mia) == Landing(algebra, [algebra])


async def test_somebody_twice_in_a_group_has_it_once(alpha: District) -> None:
    bob = await alpha.person(roles=["TEACHER"])
    algebra = await group(alpha, "Algebra", bob)
    await add_membership(alpha.see, alpha.tenant_id, bob, algebra.id, role="TEACHER")
    assert await landing(alpha, bob) == Landing(algebra, [algebra])


async def test_who_has_no_groups_lands_in_a_school(alpha: District) -> None:
    south = await school(alpha, "South")
    north = await school(alpha, "N. High", display_name="North High")
    north = north._replace(name="North High")
    closed = await school(alpha, "Closed", archived_at=utc_now())
    one = await alpha.person(schools=[south.id, closed.id], roles=["STAFF"])
    assert await landing(alpha, one) == Landing(south, [south])
    both = await alpha.person(schools=[south.id, north.id], roles=["STAFF"])
    assert await landing(alpha, both) == Landing(None, [north, south])
    await choose(alpha, both, north.id)
    assert await landing(alpha, both) == Landing(north, [north, south])
    assert (await alpha.acts())[-1][:3] == (f"user {both}", "defaultSchoolSet", str(both))


async def test_only_ones_own_can_be_chosen(alpha: District, beta: District) -> None:
    mia, eve = await alpha.person(), await alpha.person()
    algebra, _ = await group(alpha, "Algebra", mia), await group(alpha, "Biology", mia)
    others, foreign = await group(alpha, "Choir", eve), await group(beta, "Drama")
    for user_id, spot_id in (
        (mia, others.id),
        (mia, foreign.id),
        (mia, mia),
        (mia, new_id()),
        (None, algebra.id),
    ):
        with pytest.raises(InvalidInput) as refused:
            await choose(alpha, user_id, spot_id)
        assert refused.value.field == "place"
    assert await alpha.see.fetchval("SELECT count(*) FROM default_places") == 0


async def test_a_default_counts_that_is_beyond_the_choices(alpha: District) -> None:
    """Somebody of a whole district's office: more schools than a page lists."""
    ids = [await add_school(alpha.see, alpha.tenant_id, name=f"A{n:03}") for n in range(500)]
    last = await school(alpha, "Zeta")
    ada = await alpha.person(schools=[*ids, last.id], roles=["STAFF"])
    await alpha.see.execute(
        "INSERT INTO default_places (tenant_id, user_id, school_id, school_set_at, school_set_by)"
        " VALUES ($1, $2, $3, now(), 'system')",
        alpha.tenant_id,
        ada,
        last.id,
    )
    found = await landing(alpha, ada)
    assert found.spot == last
    assert [spot.id for spot in found.choices] == ids
