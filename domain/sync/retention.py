"""What is not kept for ever: what runs changed, unusable tickets for files, ids of old results."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import text

from domain.database import Database
from domain.training.recording import IDS_KEPT

KEPT = timedelta(days=90)
"""How long it is kept what a run changed, unless the settings say otherwise."""

log = structlog.get_logger()


async def drop_what_is_old(database: Database, *, now: datetime, kept: timedelta = KEPT) -> int:
    """Drop the months of changes of which every day is older than `kept`. How many months."""
    async with database.transaction() as session:
        await session.execute(text("SELECT delete_old_tickets(:now)"), {"now": now})
    async with database.transaction() as session:
        forgotten = text("SELECT forget_progress_events(:before)")
        await session.execute(forgotten, {"before": now - IDS_KEPT})
    async with database.transaction() as session:
        dropped = await session.scalar(
            text("SELECT drop_sync_changes(:before)"), {"before": now - kept}
        )
    if dropped:
        log.info("changes_dropped", months=dropped)
    return int(dropped or 0)
