"""Files that go out: who takes which along is noted, and each is made while it goes out."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.files.sheets import csv_chunks
from domain.reach import Reach


class Download(NamedTuple):
    """`rows` are read from the database while the file is sent, as far as `reach` sees."""

    tenant_id: UUID
    file_name: str
    header: Sequence[str]
    rows: Callable[[AsyncSession], AsyncGenerator[Sequence[str]]]
    reach: Reach | None


async def csv_of(database: Database, download: Download) -> AsyncGenerator[bytes]:
    """The whole file as it was at one moment."""
    async with (
        database.within(download.reach).snapshot(download.tenant_id) as session,
        aclosing(download.rows(session)) as rows,
        aclosing(csv_chunks(download.header, rows)) as chunks,
    ):
        async for chunk in chunks:
            yield chunk
