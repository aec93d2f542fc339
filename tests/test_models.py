"""The models and the migrations agree."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from domain.models import metadata

pytestmark = pytest.mark.anyio


async def test_the_models_are_what_the_migrations_make(database_url: dict[str, str]) -> None:
    engine = create_async_engine(database_url["postgres"])

    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": _is_ours}
        )
        return list(compare_metadata(context, metadata))

    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(compare) == []
    finally:
        await engine.dispose()


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Partitions are made as months come."""
    return kind != "table" or not str(name).startswith("sync_changes_")
