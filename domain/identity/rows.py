"""Rows as they were: taken down as JSON, and put back to the last byte.

PostgreSQL writes and reads the JSON itself, so that nothing is lost on the way.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, column, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.expression import FromClause, literal_column

from domain.errors import NotFound
from domain.roster.models import Membership, MembershipSpan, SchoolAffiliation, User
from domain.roster.ownership import written_by_sync
from domain.roster.records import RecordType
from domain.training.progress import lock_progress
from domain.training.settings import lock_settings

Row = dict[str, Any]
"""A row as PostgreSQL's to_jsonb gives it: ids and moments are texts."""

OF_PROVIDER = (
    *written_by_sync(RecordType.USER),
    "source_id",
    "origin",
    "content_hash",
    "archived_at",
    "archived_by_run_id",
)
"""What a person is at the provider: goes along where another row becomes that person."""
STATE = ("origin", "content_hash", "archived_at", "archived_by_run_id")
"""The same of a membership."""


def is_live(row: Row) -> bool:
    return row["archived_at"] is None


async def lock_users(session: AsyncSession, *, tenant_id: UUID, user_ids: Sequence[UUID]) -> None:
    """And what they have earned and set: that first, as whoever records or sets it does."""
    await lock_progress(session, tenant_id=tenant_id, is_shared=False)
    await lock_settings(session, tenant_id)
    await session.execute(
        select(User.id)
        .where(User.tenant_id == tenant_id, User.id.in_(user_ids))
        .order_by(User.id)
        .with_for_update()
    )


async def read_user(session: AsyncSession, *, tenant_id: UUID, user_id: UUID) -> Row:
    """Raises NotFound."""
    found = await _read(session, User, User.tenant_id == tenant_id, User.id == user_id)
    if not found:
        raise NotFound("user", user_id)
    return found[0]


async def read_memberships(
    session: AsyncSession, *, tenant_id: UUID, user_ids: Sequence[str]
) -> list[Row]:
    """Each with its `spans`, which are no column; by id."""
    row = Membership
    ids = [UUID(user_id) for user_id in user_ids]
    found = await _read(session, row, row.tenant_id == tenant_id, row.user_id.in_(ids))
    span = MembershipSpan
    of_ids = [UUID(membership["id"]) for membership in found]
    spans = await _read(session, span, span.tenant_id == tenant_id, span.membership_id.in_(of_ids))
    for membership in found:
        membership["spans"] = sorted(
            (part for part in spans if part["membership_id"] == membership["id"]),
            key=lambda part: str(part["source_id"]),
        )
    return sorted(found, key=lambda membership: str(membership["id"]))


async def read_affiliations(session: AsyncSession, *, tenant_id: UUID, user_id: str) -> list[Row]:
    row = SchoolAffiliation
    found = await _read(session, row, row.tenant_id == tenant_id, row.user_id == UUID(user_id))
    return sorted(found, key=lambda affiliation: int(affiliation["position"]))


async def _read(session: AsyncSession, row: Any, *where: ColumnElement[bool]) -> list[Row]:
    whole = func.to_jsonb(row.__table__.table_valued(), type_=JSONB)
    return [found[0] for found in await session.execute(select(whole).where(*where))]


async def put_user(session: AsyncSession, row: Row) -> None:
    await _put(session, User, row)


async def put_membership(session: AsyncSession, row: Row) -> None:
    """And its spans."""
    await _put(session, Membership, row)
    span = MembershipSpan
    await session.execute(
        delete(span).where(
            span.tenant_id == UUID(row["tenant_id"]), span.membership_id == UUID(row["id"])
        )
    )
    await _add(session, span, spans_for(row["id"], row["spans"]))


async def add_membership(session: AsyncSession, row: Row) -> None:
    await _add(session, Membership, [row])
    await _add(session, MembershipSpan, spans_for(row["id"], row["spans"]))


async def add_user(session: AsyncSession, row: Row) -> None:
    await _add(session, User, [row])


def spans_for(membership_id: str, spans: Iterable[Row]) -> list[Row]:
    return [span | {"membership_id": membership_id} for span in spans]


async def put_affiliations(session: AsyncSession, user: Row, rows: Iterable[Row]) -> None:
    """These and no others, whoever's they were."""
    row = SchoolAffiliation
    await session.execute(
        delete(row).where(row.tenant_id == UUID(user["tenant_id"]), row.user_id == UUID(user["id"]))
    )
    await _add(session, row, [found | {"user_id": user["id"]} for found in rows])


def _columns(row: Any) -> list[str]:
    return [found.name for found in row.__table__.columns if found.computed is None]


def _given(row: Any, values: Sequence[Row]) -> FromClause:
    """The values as rows of the table's own type."""
    name = row.__table__.name
    given = func.jsonb_populate_recordset(
        literal_column(f"NULL::{name}"), bindparam(None, list(values), type_=JSONB)
    )
    return given.table_valued(*(column(name) for name in _columns(row))).alias("given")


async def _put(session: AsyncSession, row: Any, values: Row) -> None:
    given = _given(row, [values])
    keys = {"tenant_id", "id"}
    await session.execute(
        update(row)
        .where(row.tenant_id == given.c.tenant_id, row.id == given.c.id)
        .values({name: given.c[name] for name in _columns(row) if name not in keys})
        .execution_options(synchronize_session=False)
    )


async def _add(session: AsyncSession, row: Any, values: Sequence[Row]) -> None:
    if values:
        names = _columns(row)
        given = _given(row, values)
        await session.execute(
            insert(row).from_select(names, select(*(given.c[name] for name in names)))
        )
