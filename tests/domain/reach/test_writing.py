"""Nobody writes beyond their reach, whatever a statement forgets, and within it they do."""

from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from sqlalchemy import CursorResult, Executable, Table, insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Forbidden
from tests.domain.reach.conftest import AsPerson
from tests.domain.reach.districts import TENANT_TABLES, Row, make_district
from tests.domain.reach.eyes import CHANGES, Eyes, everybody

pytestmark = pytest.mark.anyio

NOT_DELETED = {"errands", "exports", "sessions", "audit_log"}
"""The API deletes none of them, whoever asks."""
NOT_UPDATED = {"errands", "audit_log"}


def is_refused(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "42501"


class Undone(Exception):
    """Ends a savepoint as if nothing had happened."""


async def attempt(session: AsyncSession, statement: Executable) -> int | None:
    """How many rows it is about, with nothing done; None: it is refused."""
    done: Any = None
    with suppress(Undone):
        try:
            async with session.begin_nested():
                done = await session.execute(statement)
                raise Undone
        except IntegrityError:
            return 1  # policies are asked before the constraints
        except DBAPIError as error:
            if not is_refused(error):
                raise
            return None
    assert isinstance(done, CursorResult)
    return done.rowcount


def changed(eyes: Eyes, table: Table) -> list[Row]:
    rows = eyes.district.rows[table.name]
    changes = CHANGES.get(table.name)
    return [row for row in rows if changes(eyes, row)] if changes else []


@pytest.mark.parametrize("seed", [5, 6])
async def test_an_update_and_a_delete_without_a_condition_are_of_what_the_person_may_change(
    seed: int, superuser: asyncpg.Connection, as_person: AsPerson
) -> None:
    district = await make_district(superuser, seed)
    await make_district(superuser, seed)
    # It reads no column, so that no policy of reading helps.
    update = f"UPDATE {{}} SET tenant_id = '{district.tenant_id}'"  # noqa: S608 - our own id
    for eyes in everybody(district):
        database = await as_person(eyes.id)
        async with database.transaction(district.tenant_id) as session:
            for table in TENANT_TABLES:
                count = len(changed(eyes, table))
                updated = await attempt(session, text(update.format(table.name)))
                deleted = await attempt(session, text(f"DELETE FROM {table.name}"))  # noqa: S608
                assert (table.name, updated or 0) == (
                    table.name, 0 if table.name in NOT_UPDATED else count,
                )  # fmt: skip
                assert (table.name, deleted or 0) == (
                    table.name, 0 if table.name in NOT_DELETED else count,
                )  # fmt: skip


@pytest.mark.parametrize("seed", [7, 8])
async def test_a_row_is_put_in_only_where_the_person_may_change_it(
    seed: int, superuser: asyncpg.Connection, as_person: AsPerson
) -> None:
    district = await make_district(superuser, seed)
    for eyes in everybody(district):
        database = await as_person(eyes.id)
        async with database.transaction(district.tenant_id) as session:
            for table in TENANT_TABLES:
                rows = district.rows[table.name]
                allowed = changed(eyes, table)
                for row in rows if table.name in CHANGES else rows[:1]:
                    done = await attempt(session, insert(table).values(**row))
                    assert (table.name, done is not None) == (table.name, row in allowed)


async def test_what_the_database_refuses_is_told_as_a_refusal(
    superuser: asyncpg.Connection, as_person: AsPerson
) -> None:
    district = await make_district(superuser, 9)
    eyes = everybody(district)[-1]
    database = await as_person(eyes.id)
    values = {"tenant_id": district.tenant_id, "name": "x", "email": "x", "summary_mail": "NONE"}
    contacts = next(table for table in TENANT_TABLES if table.name == "contacts")
    with pytest.raises(Forbidden, match=r"^This is beyond what you may change\.$"):
        async with database.transaction(district.tenant_id) as session:
            await session.execute(insert(contacts).values(**values))
    with pytest.raises(DBAPIError) as unexpected:
        async with database.within(None).transaction(district.tenant_id) as session:
            await session.execute(text("UPDATE users SET given_name = 'x'"))
    assert is_refused(unexpected.value)
