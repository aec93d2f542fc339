"""Turns: who changes a tenant's people outside a run does so while none is under way."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def take_turn(session: AsyncSession, tenant_id: UUID) -> bool:
    """Whether no sync of the tenant is under way; then none begins before this has ended.

    Requests for runs take the same lock, and whoever would claim a run that waits already skips
    it while we hold its row.
    """
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant_id, 0))"),
        {"tenant_id": str(tenant_id)},
    )
    states = await session.scalars(
        text(
            "SELECT state FROM sync_runs WHERE tenant_id = :tenant_id AND finished_at IS NULL"
            " FOR NO KEY UPDATE"
        ),
        {"tenant_id": tenant_id},
    )
    return all(state == "QUEUED" for state in states)
