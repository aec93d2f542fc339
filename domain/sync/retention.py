"""What is not kept for ever: what runs changed, and tickets for files that nobody can use."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import text

from domain.database import Database

KEPT = timedelta(days=90)
"""How long it is kept what a run changed, unless the settings say otherwise."""

log = structlog.get_logger()


async def drop_what_is_old(database: Database, *, now: datetime, kept: timedelta = KEPT) -> int:
    """Drop the months of changes of which every day is older than `kept`. How many months."""
    async with database.transaction() as session:
        await session.execute(text("SELECT delete_old_tickets(:now)"), {"now": now})
    async with database.transaction() as session:
        dropped = await session.scalar(
            text("SELECT drop_sync_changes(:before)"), {"before": now - kept}
        )
    if dropped:
        log.info("changes_dropped", months=dropped)
    return int(dropped or 0)
