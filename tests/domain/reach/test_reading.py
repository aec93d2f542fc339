"""Whoever forgets to ask whose a row is: the database answers with what the person may see.

Every table is read without any condition, by everybody of districts that are made at random, and
compared with what the model in plain Python says.
"""

import asyncpg
import pytest
from sqlalchemy import RowMapping, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.models import metadata
from domain.resources import Resources
from tests.domain.reach.conftest import AsPerson
from tests.domain.reach.districts import TENANT_TABLES, Row, make_district
from tests.domain.reach.eyes import SEES, everybody

pytestmark = pytest.mark.anyio


def key_names(table: Table) -> list[str]:
    """Without the moment, by which some tables are parted."""
    names = [column.name for column in table.primary_key]
    return ["id"] if "id" in names else names


def key_of(table: Table, row: Row | RowMapping) -> str:
    return " ".join(str(row[name]) for name in key_names(table))


async def read_all(session: AsyncSession, table: Table) -> set[str]:
    """Of a table that the API may not read at all, nothing."""
    names = ", ".join(key_names(table))
    try:
        async with session.begin_nested():
            found = await session.execute(text(f"SELECT {names} FROM {table.name}"))  # noqa: S608
    except DBAPIError as error:
        assert "permission denied for table" in str(error.orig)  # noqa: PT017
        return set()
    return {key_of(table, row) for row in found.mappings()}


@pytest.mark.parametrize("seed", range(4))
async def test_a_query_without_a_condition_gives_what_the_person_may_see(
    seed: int, superuser: asyncpg.Connection, as_person: AsPerson
) -> None:
    district = await make_district(superuser, seed)
    await make_district(superuser, seed)
    in_part = set()
    for eyes in everybody(district):
        database = await as_person(eyes.id)
        async with database.read(district.tenant_id) as session:
            for table in TENANT_TABLES:
                seen = await read_all(session, table)
                expected = {key_of(table, row) for row in eyes.expected(table.name)}
                assert (table.name, eyes.user["roles"], seen) == (
                    table.name, eyes.user["roles"], expected,
                )  # fmt: skip
                if 0 < len(seen) < len(district.rows[table.name]):
                    in_part.add(table.name)
    assert in_part | {"sync_runs"} == set(SEES), "of the others somebody sees all or nobody any"


async def test_without_a_tenant_nobody_sees_a_row(
    superuser: asyncpg.Connection, resources: Resources, as_person: AsPerson
) -> None:
    district = await make_district(superuser, 3)
    people = [await as_person(eyes.id) for eyes in everybody(district)]
    for database in (resources.database, *people):
        async with database.read() as session:
            for table in TENANT_TABLES:
                assert (table.name, await read_all(session, table)) == (table.name, set())


async def test_a_reach_of_another_tenant_shows_nobody(
    superuser: asyncpg.Connection, as_person: AsPerson
) -> None:
    """A caller's reach is of ids: in a tenant that is not theirs, none of them is found."""
    district, other = await make_district(superuser, 3), await make_district(superuser, 4)
    for eyes in everybody(district):
        database = await as_person(eyes.id)
        async with database.read(other.tenant_id) as session:
            for name in ("schools", "groups", "users", "memberships", "progress", "sessions"):
                assert await read_all(session, metadata.tables[name]) == set()


async def test_who_sees_all_of_the_tenant_sees_every_row(
    superuser: asyncpg.Connection, resources: Resources
) -> None:
    district = await make_district(superuser, 1)
    await make_district(superuser, 2)
    async with resources.database.read(district.tenant_id) as session:
        for table in TENANT_TABLES:
            seen = await read_all(session, table)
            assert seen in (set(), {key_of(table, row) for row in district.rows[table.name]})
            assert seen or table.name in {"sync_leases", "integration_credentials"}, table.name
