"""Who is late is seen with how all tenants stand, and nothing is due next of a paused tenant."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STANDING = """
CREATE FUNCTION list_standing() RETURNS TABLE (
    tenant_id uuid, slug text, run_id uuid, state text, progress jsonb, phases jsonb,
    requested_at timestamptz, held_run_id uuid, held_since timestamptz, due_at timestamptz,
    is_due boolean, failures bigint, failure_code text, last_success_at timestamptz{late_column})
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT t.id, t.slug, r.id, r.state::text, r.progress, r.phases, r.requested_at,
     h.run_id, h.created_at, s.next_due_at,
     d.tenant_id IS NOT NULL,
     f.failures, f.code, g.finished_at{late_value}
   FROM tenants t
   LEFT JOIN (SELECT DISTINCT l.tenant_id FROM list_due_schedules(now()) l) d
     ON d.tenant_id = t.id
   LEFT JOIN LATERAL (
     SELECT u.* FROM sync_runs u WHERE u.tenant_id = t.id AND u.finished_at IS NULL
     ORDER BY u.state = 'QUEUED', u.requested_at LIMIT 1) r ON true
   LEFT JOIN LATERAL (
     SELECT o.run_id, o.created_at FROM holds o WHERE o.tenant_id = t.id AND o.ended_at IS NULL
     ORDER BY o.created_at LIMIT 1) h ON true
   LEFT JOIN LATERAL (
     SELECT min(c.next_due_at) AS next_due_at FROM sync_schedules c
     WHERE c.tenant_id = t.id{of_active}) s
     ON true
   LEFT JOIN LATERAL (
     SELECT u.id, u.finished_at FROM sync_runs u
     WHERE u.tenant_id = t.id AND u.mode IN ('FULL', 'DELTA') AND u.finished_at IS NOT NULL
       AND u.state NOT IN ('FAILED', 'CANCELLED')
     ORDER BY u.id DESC LIMIT 1) g ON true
   CROSS JOIN LATERAL (
     SELECT count(*) AS failures, (array_agg(u.failure_code ORDER BY u.id DESC))[1] AS code
     FROM sync_runs u
     WHERE u.tenant_id = t.id AND u.mode IN ('FULL', 'DELTA') AND u.state = 'FAILED'
       AND (g.id IS NULL OR u.id > g.id)) f
   ORDER BY t.slug $$
"""
LATE = {
    "late_column": ", late_since timestamptz",
    "late_value": ",\n     (SELECT y.late_told_at FROM sync_standings y WHERE y.tenant_id = t.id)",
    "of_active": " AND t.status = 'ACTIVE'",
}
SUMMARISE = """
CREATE OR REPLACE FUNCTION summarise_tenants(p_ids uuid[])
RETURNS TABLE (
    tenant_id uuid, licence_limit int, licences_used bigint, go_live_on date, kind text,
    last_run_id uuid, last_successful_run_id uuid, next_sync_at timestamptz, open_errors bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT asked.id, s.licence_limit,
     (SELECT count(*) FROM users u LEFT JOIN eligibility_overrides o
          ON o.tenant_id = u.tenant_id AND o.user_id = u.id
        WHERE u.tenant_id = asked.id AND u.archived_at IS NULL AND u.is_enabled
        AND coalesce(o.is_eligible, u.is_eligible) AND 'STUDENT' = ANY (u.roles)),
     s.go_live_on, s.kind::text,
     (SELECT r.id FROM sync_runs r WHERE r.tenant_id = asked.id AND r.finished_at IS NOT NULL
        AND r.mode <> 'PREFLIGHT' ORDER BY r.id DESC LIMIT 1),
     (SELECT r.id FROM sync_runs r WHERE r.tenant_id = asked.id AND r.mode IN ('FULL', 'DELTA')
        AND r.state IN ('SUCCEEDED', 'SUCCEEDED_WITH_ERRORS', 'SUCCEEDED_WITH_HOLD')
        ORDER BY r.id DESC LIMIT 1),
     (SELECT min(d.next_due_at) FROM sync_schedules d
        JOIN integrations i ON i.tenant_id = d.tenant_id AND i.id = d.integration_id{tenants}
        WHERE d.tenant_id = asked.id AND i.status = 'ACTIVE'),
     (SELECT count(*) FROM validation_errors e
        WHERE e.tenant_id = asked.id AND e.state = 'OPEN')
   FROM unnest(p_ids) AS asked (id)
   LEFT JOIN subscriptions s ON s.tenant_id = asked.id $$
"""
ACTIVE = "\n        JOIN tenants t ON t.id = d.tenant_id AND t.status = 'ACTIVE'"


def upgrade() -> None:
    _replace(LATE, tenants=ACTIVE)


def downgrade() -> None:
    _replace(dict.fromkeys(LATE, ""), tenants="")


def _replace(parts: dict[str, str], *, tenants: str) -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP FUNCTION list_standing()")
    op.execute(STANDING.format(**parts))
    op.execute("REVOKE ALL ON FUNCTION list_standing() FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION list_standing() TO homerow_api")
    op.execute(SUMMARISE.format(tenants=tenants))
