"""What everybody needs who reads or writes progress: its lock, and the year that a moment is of."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.training.years import beginnings

DECLARED: Final = (
    "SELECT t.time_zone, ARRAY(SELECT r.rolls_on FROM year_rollovers r"
    "  WHERE r.tenant_id = t.id AND r.cancelled_at IS NULL ORDER BY 1) AS declared"
    " FROM tenants t"
)
"""SQL for a tenant's time zone and the first days of school years that were declared."""


class Years(NamedTuple):
    """Consecutive school years: the first of them, and the day on which each begins."""

    first: int
    days: list[date]

    def of(self, moment: str, *, zone: str, days: str) -> str:
        """SQL for the school year of a moment that lies in them; `zone` and `days` are SQL too."""
        local = f"({moment} AT TIME ZONE {zone}::text)::date"
        return f"({self.first - 1} + width_bucket({local}, {days}::date[]))"


def years_between(first: datetime, last: datetime, *, zone: str, declared: Sequence[date]) -> Years:
    """The school years of all moments from the first to the last one."""
    local = ZoneInfo(zone)
    begun = first.astimezone(local).year - 1
    found = beginnings(declared, first=begun, last=last.astimezone(local).year)
    return Years(found[0].school_year, [beginning.starts_on for beginning in found])


async def read_years(
    session: AsyncSession, *, tenant_id: UUID, first: datetime, last: datetime
) -> tuple[str, Years]:
    """The tenant's time zone as well."""
    found = await session.execute(
        text(f"{DECLARED} WHERE t.id = :tenant_id"), {"tenant_id": tenant_id}
    )
    zone, declared = found.one()
    return zone, years_between(first, last, zone=zone, declared=declared)


async def lock_progress(session: AsyncSession, *, tenant_id: UUID, is_shared: bool) -> None:
    """Until the end of the transaction, and before anything else in it that locks.

    Results are recorded side by side; whoever moves progress from one row to another does so
    alone, since rows that come and go have no order in which all could lock them.
    """
    function = "pg_advisory_xact_lock_shared" if is_shared else "pg_advisory_xact_lock"
    await session.execute(
        text(f"SELECT {function}(hashtextextended(:name, 0))"), {"name": f"progress {tenant_id}"}
    )
