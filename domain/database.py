"""The database: one engine for a role, transactions that know their tenant, and models' base.

Whoever opens a transaction ends it, here and nowhere else. Its first statement names the tenant;
without one, row-level security shows no tenant's rows.
"""

import enum
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    DateTime,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    Text,
    make_url,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from domain.errors import Forbidden
from domain.jobs import JobQueue, take_jobs
from domain.reach import Reach

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_NOT_ALLOWED = "42501"


class DatabaseRole(enum.StrEnum):
    """PostgreSQL's roles. API and WORKER own no table of the schema and bypass no policy."""

    OWNER = "homerow_owner"
    API = "homerow_api"
    WORKER = "homerow_worker"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's attribute
        datetime: DateTime(timezone=True),
        str: Text(),
        list[str]: ARRAY(Text()),
        dict[str, Any]: JSONB(),
    }


def text_enum(enumeration: type[enum.Enum], name: str) -> Enum:
    """Text with a CHECK, since PostgreSQL's own enumerations compare too slowly here.

    Their equality is not leakproof, and a condition that is not leakproof cannot use an index
    under row-level security.
    """
    return Enum(
        enumeration,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=40,
        values_callable=lambda values: [value.value for value in values],
    )


def create_engine(url: str, role: DatabaseRole, *, pool_size: int = 10) -> AsyncEngine:
    """An engine whose connections act as `role`, whatever login the URL names."""
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "server_settings": {
                "role": role.value,
                "timezone": "UTC",
                "application_name": f"homerow {role.value.removeprefix('homerow_')}",
                "idle_in_transaction_session_timeout": "60s",
            }
        },
    )


@dataclass(frozen=True, slots=True)
class Database:
    engine: AsyncEngine
    queue: JobQueue
    url: str
    role: DatabaseRole
    reach: Reach | None = None

    def within(self, reach: Reach | None) -> "Database":
        """The same database, as somebody sees it who does not see all of a tenant."""
        return self if reach == self.reach else replace(self, reach=reach)

    @asynccontextmanager
    async def transaction(self, tenant_id: UUID | None = None) -> AsyncGenerator[AsyncSession]:
        """One unit of work: commit on success, then hand its jobs to the queue."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            with self._refusing_what_is_beyond():
                async with session.begin():
                    await set_tenant(session, tenant_id, self.reach)
                    yield session
            for job in take_jobs(session):
                await self.queue.put(job)

    @contextmanager
    def _refusing_what_is_beyond(self) -> Iterator[None]:
        """What a policy refuses is the caller's doing where the caller sees a part alone."""
        try:
            yield
        except DBAPIError as error:
            if self.reach is None or getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
                raise
            raise Forbidden("This is beyond what you may change.") from error

    @asynccontextmanager
    async def read(self, tenant_id: UUID | None = None) -> AsyncGenerator[AsyncSession]:
        """A session that is never committed."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            await set_tenant(session, tenant_id, self.reach)
            yield session

    @asynccontextmanager
    async def snapshot(self, tenant_id: UUID) -> AsyncGenerator[AsyncSession]:
        """Reads only, and several statements see the same moment, however long it takes."""
        async with AsyncSession(self.engine) as session:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            await session.connection(execution_options=options)
            await set_tenant(session, tenant_id, self.reach)
            yield session

    async def connect(self, name: str) -> asyncpg.Connection:
        """A connection outside the pool, for COPY and for what must outlive a transaction.

        `name` is shown in pg_stat_activity. The caller closes it.
        """
        url = make_url(self.url)
        query = {key: value for key, value in url.query.items() if isinstance(value, str)}
        return await asyncpg.connect(
            host=query.get("host", url.host),
            port=int(query["port"]) if "port" in query else url.port,
            user=url.username,
            password=url.password,
            database=url.database,
            ssl=query.get("ssl"),
            server_settings={
                "role": self.role.value,
                "timezone": "UTC",
                "application_name": name,
            },
        )


_SET_TENANT = text("SELECT set_config('homerow.tenant_id', :tenant_id, true)")
_SET_REACH = text(
    "SELECT set_config(name, value, true) FROM unnest(:names ::text[], :values ::text[])"
    " AS told (name, value)"
)


async def set_tenant(
    session: AsyncSession, tenant_id: UUID | None, reach: Reach | None = None
) -> None:
    """Tell the policies of a transaction for whom it is."""
    tenant = str(tenant_id) if tenant_id else ""
    if reach is None:
        await session.execute(_SET_TENANT, {"tenant_id": tenant})
        return
    told = {"homerow.tenant_id": tenant, **reach.settings()}
    await session.execute(_SET_REACH, {"names": list(told), "values": list(told.values())})


def tenant_key(*columns: str, table: str, **options: Any) -> ForeignKeyConstraint:
    """A reference within the tenant, by this table's `columns` beside tenant_id.

    It carries tenant_id itself, so that a reference to another tenant's row cannot be written.
    """
    return ForeignKeyConstraint(
        ["tenant_id", *columns], [f"{table}.tenant_id", f"{table}.id"], **options
    )


class TenantRow:
    """What every row of a tenant has: the primary key begins with the tenant."""

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id"), primary_key=True, sort_order=-2
    )
    id: Mapped[UUID] = mapped_column(
        primary_key=True, server_default=text("uuidv7()"), sort_order=-1
    )
