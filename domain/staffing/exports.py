"""Who was imported, as the same file that an import takes: to be edited and sent again."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.files.downloads import Download
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import Origin
from domain.staffing.layouts import HEADER, PEOPLE, PeopleKind, told
from domain.staffing.planning import ROLE
from domain.staffing.schools import chosen_names
from domain.tenants.service import get_tenant

_BATCH: Final = 500


async def begin_people_download(
    session: AsyncSession, *, tenant_id: UUID, kind: PeopleKind, caller: Caller
) -> Download:
    """Audited."""
    tenant = await get_tenant(session, tenant_id=tenant_id)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="exportDownload",
        target=PEOPLE[kind].export.value,
    )
    name = f"{tenant.slug}-{kind.value.lower()}-{utc_now():%Y-%m-%d}.csv"
    rows = partial(people_rows, tenant_id=tenant_id, kind=kind)
    return Download(tenant_id, name, HEADER, rows, caller.reach)


async def people_rows(
    session: AsyncSession, *, tenant_id: UUID, kind: PeopleKind
) -> AsyncGenerator[Sequence[str]]:
    """In the order of their usernames, below HEADER."""
    statement = text(
        f"WITH names AS MATERIALIZED {chosen_names(':tenant_id')}"
        " SELECT u.username, u.given_name, u.family_name, coalesce(u.email, '') AS email,"
        f"  lower({ROLE}) AS role,"
        "  (SELECT coalesce(string_agg(k.name, ';' ORDER BY a.position), '')"
        "   FROM school_affiliations a JOIN names k ON k.school_id = a.school_id"
        "   WHERE a.tenant_id = :tenant_id AND a.user_id = u.id) AS schools,"
        "  CASE WHEN u.is_enabled THEN 'yes' ELSE 'no' END AS is_enabled"
        " FROM users u WHERE u.tenant_id = :tenant_id AND u.archived_at IS NULL"
        f"  AND u.origin = '{Origin.IMPORT}' AND u.username IS NOT NULL AND {PEOPLE[kind].is_one}"
        " ORDER BY u.username_key"
    )
    found = await session.stream(
        statement.execution_options(yield_per=_BATCH), {"tenant_id": tenant_id}
    )
    async for row in found:
        yield [told(cell) for cell in row]
