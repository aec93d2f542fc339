"""Mails that nobody takes: given up after days, said in the log and to operators."""

from collections import Counter
from datetime import datetime
from typing import Final, NamedTuple

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.notifications.alarms import undelivered
from domain.notifications.recipients import tell_operators

COUNT_MAILS: Final = text("SELECT * FROM count_mails()")
"""The columns of an Outbox. For every role."""

log = structlog.get_logger()


class Outbox(NamedTuple):
    """`failing` of those that wait were tried already; `given_up` is of the last seven days."""

    waiting: int
    failing: int
    oldest_at: datetime | None
    given_up: int


async def count_mails(session: AsyncSession) -> Outbox:
    """Of all tenants, for operators."""
    return Outbox(*(await session.execute(COUNT_MAILS)).one())


async def give_up_mails(database: Database, *, now: datetime) -> int:
    """For the worker's role. How many."""
    async with database.transaction() as session:
        given_up = (await session.execute(text("SELECT * FROM give_up_mails()"))).all()
        for row in given_up:
            tenant_id = row.tenant_id and str(row.tenant_id)
            log.error("mail_given_up", mail_id=str(row.id), tenant_id=tenant_id, kind=row.kind)
        # Word of these mails that is itself not taken is not worth another one.
        kinds = Counter(row.kind for row in given_up if row.kind != "UNDELIVERED")
        if kinds:
            await tell_operators(
                session,
                notice=undelivered(sorted(kinds.items())),
                key=f"undelivered {now.isoformat()}",
            )
    return len(given_up)
