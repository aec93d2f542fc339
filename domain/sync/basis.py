"""The basis of an approval: a digest of everything that decides what a sync does.

An approval holds for what was shown. It lapses when the digest of now is another than the one
that was kept with the preflight, and after seven days (product.md T3).
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.sync.context import RunContext
from domain.training.rollover import IS_OPEN

VALID: Final = timedelta(days=7)
"""How old a preflight may be that is approved, and how long its approval holds."""

# With a place for each parameter, which text() and asyncpg write differently. Lists that are sets
# are sorted. Of secrets only when they were changed is in it; the API's role may read no more.
# Whoever undoes a first sync has not approved that it is done again.
# JSON of PostgreSQL's has its keys in one order, so equal settings are equal. The limits around a
# rollover are in it while they hold, and not named otherwise.
DIGEST: Final = """
SELECT encode(sha256(convert_to(CAST(jsonb_build_object(
  'provider', i.provider,
  'settings', i.settings,
  'student_email', i.with_student_email,
  'eligibility', i.eligibility,
  'email_domains', (SELECT jsonb_agg(d ORDER BY d) FROM unnest(i.email_domains) AS d),
  'existing_accounts', i.existing_accounts,
  'match_keys', to_jsonb(i.match_keys),
  'holds_everything', i.holds_everything,
  'credentials', (SELECT extract(epoch FROM c.updated_at) FROM integration_credentials c
    WHERE c.tenant_id = i.tenant_id AND c.integration_id = i.id),
  'role_map', (SELECT jsonb_object_agg(m.provider_role, m.role) FROM role_maps m
    WHERE m.tenant_id = i.tenant_id AND m.integration_id = i.id),
  'sharing', (SELECT jsonb_object_agg(r.subject,
      (SELECT jsonb_agg(v ORDER BY v) FROM unnest(r.values) AS v)) FROM sharing_rules r
    WHERE r.tenant_id = i.tenant_id AND r.integration_id = i.id),
  'requirements', (SELECT jsonb_object_agg(q.name, q.is_enabled) FROM requirements q
    WHERE q.tenant_id = i.tenant_id),
  'limits', (SELECT jsonb_object_agg(h.record_type,
      jsonb_build_array(h.archive_count, h.archive_percent, h.update_percent)) FROM hold_limits h
    WHERE h.tenant_id = i.tenant_id),
  'undone', (SELECT count(*) FROM sync_runs v
    WHERE v.tenant_id = i.tenant_id AND v.mode = 'REVERT' AND v.state LIKE 'SUCCEEDED%'),
  'licences', (SELECT jsonb_build_array(
      s.licence_limit, s.licence_order, to_jsonb(s.licence_school_ids)) FROM subscriptions s
    WHERE s.tenant_id = i.tenant_id)
) || coalesce((SELECT jsonb_build_object(
    'rollover', jsonb_build_array(r.archive_percent, r.update_percent))
  FROM year_rollovers r JOIN tenants t ON t.id = r.tenant_id
  WHERE r.tenant_id = i.tenant_id AND %s), jsonb_build_object()) AS text), 'UTF8')), 'hex')
FROM integrations i WHERE i.tenant_id = {tenant_id} AND i.id = {integration_id}
""".replace("%s", IS_OPEN)


async def basis_of(session: AsyncSession, *, tenant_id: UUID, integration_id: UUID) -> str:
    """What the settings of now amount to."""
    return str(
        await session.scalar(
            text(DIGEST.format(tenant_id=":tenant_id", integration_id=":integration_id")),
            {"tenant_id": tenant_id, "integration_id": integration_id},
        )
    )


async def note_basis(context: RunContext, connection: asyncpg.Connection) -> None:
    """Keep with the run what it was made with; nothing, if that changed while it was under way.

    Some of the settings decided what was read, others what was compared: a run that began with
    the former ones and ended with these shows what neither of them does.
    """
    await connection.execute(
        "UPDATE sync_runs r SET basis = CASE WHEN i.updated_at <= coalesce("
        "  (r.phases -> 'FETCHING' ->> 'started_at')::timestamptz, r.started_at)"
        f" THEN ({DIGEST.format(tenant_id='$1', integration_id='$3')}) END"
        " FROM integrations i WHERE r.tenant_id = $1 AND r.id = $2"
        " AND i.tenant_id = $1 AND i.id = $3",
        context.tenant_id,
        context.run_id,
        context.integration_id,
    )
