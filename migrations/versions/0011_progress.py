"""Figures of all tenants together, for metrics, and how each tenant stands, for operators."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

FUNCTIONS = {
    # Numbers alone: of no tenant, and with no name in them.
    "read_figures()": (
        """
CREATE FUNCTION read_figures() RETURNS TABLE (name text, label text, figure double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT 'runs_unfinished', r.state::text, count(*)::double precision
   FROM sync_runs r WHERE r.finished_at IS NULL GROUP BY r.state
   UNION ALL
   SELECT 'records_per_second', '', coalesce(sum((r.progress->>'rate')::double precision), 0)
   FROM sync_runs r WHERE r.finished_at IS NULL AND r.state = 'FETCHING'
   UNION ALL
   SELECT 'queue_lag_seconds', '', coalesce(extract(epoch FROM now() - min(r.requested_at)), 0)
   FROM sync_runs r WHERE r.finished_at IS NULL AND r.state = 'QUEUED'
   UNION ALL
   SELECT 'holds_open', '', count(*) FROM holds h WHERE h.ended_at IS NULL
   UNION ALL
   SELECT 'schedules_due', '', count(*) FROM list_due_schedules(now())
   UNION ALL
   SELECT 'schedules_lag_seconds', '', coalesce(extract(epoch FROM now() - min(s.next_due_at)), 0)
   FROM list_due_schedules(now()) d
   JOIN sync_schedules s ON s.tenant_id = d.tenant_id AND s.integration_id = d.integration_id
   UNION ALL
   SELECT 'mails_unsent', w.label, count(*) FROM (
     SELECT CASE WHEN o.attempts = 0 THEN 'new'
       WHEN o.attempts < 12 AND o.created_at > now() - interval '7 days' THEN 'tried'
       ELSE 'given_up' END AS label
     FROM mail_outbox o WHERE o.sent_at IS NULL) w GROUP BY w.label
   UNION ALL
   SELECT 'mails_lag_seconds', '', coalesce(extract(epoch FROM now() - min(o.due_at)), 0)
   FROM mail_outbox o WHERE o.sent_at IS NULL AND o.due_at <= now() AND o.attempts < 12
     AND o.created_at > now() - interval '7 days' $$
""",
        "homerow_api, homerow_worker",
    ),
    # Metadata of tenants, for those on the product's own side.
    "list_standing()": (
        """
CREATE FUNCTION list_standing() RETURNS TABLE (
    tenant_id uuid, slug text, run_id uuid, state text, progress jsonb, phases jsonb,
    requested_at timestamptz, held_run_id uuid, held_since timestamptz, due_at timestamptz,
    is_due boolean, failures bigint, failure_code text, last_success_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT t.id, t.slug, r.id, r.state::text, r.progress, r.phases, r.requested_at,
     h.run_id, h.created_at, s.next_due_at,
     d.tenant_id IS NOT NULL,
     f.failures, f.code, g.finished_at
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
     SELECT min(c.next_due_at) AS next_due_at FROM sync_schedules c WHERE c.tenant_id = t.id) s
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
""",
        "homerow_api",
    ),
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name, (body, roles) in FUNCTIONS.items():
        op.execute(body)
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {roles}")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
