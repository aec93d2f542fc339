"""Brings every sealed value to the key that seals now, and says which keys are still needed.

It needs the owner's role: it goes through the rows of all tenants. What it has done stays done, so
it can be ended and started again at any time.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from sqlalchemy import ColumnElement, RowMapping, Table, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Base, Database
from domain.integrations.models import IntegrationCredentials
from domain.integrations.service import credentials_context
from domain.people.models import Account, SigningKey
from domain.secrets import (
    KeyRing,
    SecretUnreadable,
    sealing_key,
    signing_key_context,
    totp_context,
)

BATCH = 500
"""As many rows are locked at a time, for as long as it takes to seal them."""


class SealedColumn(NamedTuple):
    """`context` is what a row's value is bound to."""

    model: type[Base]
    column: str
    context: Callable[[RowMapping], str]

    @property
    def table(self) -> Table:
        return cast("Table", self.model.__table__)

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column}"

    def named(self, row: RowMapping) -> str:
        """The row by its key, for a person who has to find it."""
        return ", ".join(f"{key.name} {row[key.name]}" for key in self.table.primary_key)


SEALED: Final = (
    SealedColumn(
        IntegrationCredentials,
        "sealed",
        lambda row: credentials_context(row["tenant_id"], row["integration_id"]),
    ),
    SealedColumn(Account, "totp_sealed", lambda row: totp_context(row["tenant_id"], row["id"])),
    SealedColumn(SigningKey, "sealed", lambda row: signing_key_context(row["kid"])),
)
"""Everything that is sealed and stored. Who seals something new in a table adds it here."""


@dataclass(slots=True)
class Survey:
    """Of one column: how many values each key has sealed by now, and the rows that do not open.

    `resealed` are those that had another key before.
    """

    name: str
    by_key: Counter[str] = field(default_factory=Counter)
    resealed: int = 0
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Walk:
    """Through all rows of a column, batch by batch, each of which is committed."""

    keys: KeyRing
    column: SealedColumn
    reseals: bool
    batch: int
    survey: Survey

    async def go(self, database: Database) -> Survey:
        last: RowMapping | None = None
        while True:
            async with database.transaction() as session:
                rows = await self._read(session, last)
                for row in rows:
                    await self._look_at(session, row)
            if len(rows) < self.batch:
                return self.survey
            last = rows[-1]

    async def _read(self, session: AsyncSession, last: RowMapping | None) -> Sequence[RowMapping]:
        table = self.column.table
        sealed, key = table.c[self.column.column], list(table.primary_key)
        query = select(*key, sealed).where(sealed.is_not(None)).order_by(*key).limit(self.batch)
        if last is not None:
            query = query.where(tuple_(*key) > tuple(last[column.name] for column in key))
        if self.reseals:
            query = query.with_for_update()
        return (await session.execute(query)).mappings().all()

    async def _look_at(self, session: AsyncSession, row: RowMapping) -> None:
        sealed, context = row[self.column.column], self.column.context(row)
        try:
            plain = self.keys.open(sealed, context=context)
        except SecretUnreadable:
            self.survey.unreadable.append(self.column.named(row))
            return
        key = sealing_key(sealed)
        if self.reseals and key != self.keys.primary:
            anew = self.keys.seal(plain, context=context)
            await session.execute(
                update(self.column.table).where(*self._is(row)).values({self.column.column: anew})
            )
            self.survey.resealed += 1
            key = self.keys.primary
        self.survey.by_key[key] += 1

    def _is(self, row: RowMapping) -> list[ColumnElement[bool]]:
        return [column == row[column.name] for column in self.column.table.primary_key]


async def survey_sealed(database: Database, keys: KeyRing, *, batch: int = BATCH) -> list[Survey]:
    """Opens all there is and changes nothing."""
    return await _walk(database, keys, reseals=False, batch=batch)


async def rotate_sealed(database: Database, keys: KeyRing, *, batch: int = BATCH) -> list[Survey]:
    """Seals with the primary key what another one has sealed."""
    return await _walk(database, keys, reseals=True, batch=batch)


async def _walk(database: Database, keys: KeyRing, *, reseals: bool, batch: int) -> list[Survey]:
    return [
        await _Walk(keys, column, reseals, batch, Survey(column.name)).go(database)
        for column in SEALED
    ]
