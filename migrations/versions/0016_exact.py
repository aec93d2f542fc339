"""What waits of a paused integration does not begin; alarms and figures tell of what is so now."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# As in 0014. Of an integration that is paused nothing is read; what is under way goes on.
CLAIM = """
CREATE OR REPLACE FUNCTION claim_sync_run(
    p_silence interval, p_largest_waiting int DEFAULT NULL, p_largest_left int DEFAULT NULL,
    p_per_provider int DEFAULT NULL)
RETURNS TABLE (tenant_id uuid, run_id uuid, token bigint, former_backend_pid int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$
#variable_conflict use_column
DECLARE
    claimed record;
    former int;
BEGIN
    -- One claim after the other: two at once could not both take a provider's last place. Whoever
    -- is stopped before the commit keeps the others waiting for so long and no longer.
    PERFORM set_config('idle_in_transaction_session_timeout', '5s', true);
    PERFORM pg_advisory_xact_lock(hashtext('homerow claims'));
    WITH busy AS MATERIALIZED (
        SELECT provider_asked(i.provider, i.settings) AS provider
        FROM sync_runs r
        JOIN integrations i ON i.tenant_id = r.tenant_id AND i.id = r.integration_id
        JOIN sync_leases l ON l.tenant_id = r.tenant_id AND l.run_id = r.id
        WHERE p_per_provider IS NOT NULL AND r.finished_at IS NULL AND r.state = 'FETCHING'
          AND r.mode <> 'REVERT' AND i.provider <> 'ONEROSTER_CSV'
          AND l.heartbeat_at >= clock_timestamp() - p_silence
        GROUP BY 1 HAVING count(*) >= p_per_provider)
    SELECT r.tenant_id, r.id, r.state INTO claimed
    FROM sync_runs r
    JOIN integrations i ON i.tenant_id = r.tenant_id AND i.id = r.integration_id
    LEFT JOIN sync_leases l ON l.tenant_id = r.tenant_id AND l.run_id = r.id
    WHERE r.finished_at IS NULL
      AND CASE WHEN r.state = 'QUEUED'
          THEN {is_active}NOT EXISTS (
            SELECT FROM sync_runs o WHERE o.tenant_id = r.tenant_id AND o.finished_at IS NULL
              AND o.state <> 'QUEUED')
          ELSE coalesce(l.heartbeat_at, '-infinity') < clock_timestamp() - p_silence END
      AND coalesce(nullif(r.size_class, 0), 6) <= coalesce(
          CASE WHEN r.state = 'QUEUED' THEN p_largest_waiting ELSE p_largest_left END, 99)
      AND (r.state NOT IN ('QUEUED', 'FETCHING') OR r.mode = 'REVERT' OR NOT EXISTS (
          SELECT FROM busy b WHERE b.provider = provider_asked(i.provider, i.settings)))
    ORDER BY r.state = 'QUEUED', r.requested_at + r.size_class * interval '1 minute'
    LIMIT 1 FOR UPDATE OF r SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- A heartbeat that came between our snapshot and our lock has renewed the lease.
    PERFORM FROM sync_leases l WHERE l.tenant_id = claimed.tenant_id AND l.run_id = claimed.id
        AND l.heartbeat_at >= clock_timestamp() - p_silence;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT l.backend_pid INTO former FROM sync_leases l
    WHERE l.tenant_id = claimed.tenant_id AND l.run_id = claimed.id;
    UPDATE sync_runs r SET
        state = CASE WHEN r.state = 'QUEUED' THEN 'FETCHING' ELSE r.state END,
        started_at = coalesce(r.started_at, clock_timestamp()),
        attempts = r.attempts + 1
    WHERE r.tenant_id = claimed.tenant_id AND r.id = claimed.id;
    RETURN QUERY
    INSERT INTO sync_leases AS l (tenant_id, run_id, token, heartbeat_at)
    VALUES (claimed.tenant_id, claimed.id, 1, clock_timestamp())
    ON CONFLICT (tenant_id, run_id) DO UPDATE
        SET token = l.token + 1, heartbeat_at = clock_timestamp(), backend_pid = NULL
    RETURNING l.tenant_id, l.run_id, l.token, former;
END $$
"""
# As in 0013. Nobody is late before the first day of the schedule; and who becomes late one after
# the other is told together, once an hour.
TAKE_LATE = """
CREATE OR REPLACE FUNCTION take_late(p_now timestamptz, p_allowance interval)
RETURNS TABLE (tenant_id uuid, slug text, last_success_at timestamptz, every_days int)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ WITH late AS (
     SELECT t.id, t.slug, n.last_success_at, d.every_days
     FROM tenants t
     JOIN integrations i ON i.tenant_id = t.id AND i.status = 'ACTIVE'
     JOIN sync_schedules d ON d.tenant_id = t.id AND d.integration_id = i.id
     LEFT JOIN subscriptions s ON s.tenant_id = t.id
     LEFT JOIN sync_standings n ON n.tenant_id = t.id
     CROSS JOIN LATERAL (SELECT coalesce(d.time_zone, t.time_zone) AS name,
       (p_now AT TIME ZONE coalesce(d.time_zone, t.time_zone))::date AS today) z
     WHERE t.status = 'ACTIVE' AND n.late_told_at IS NULL{hourly}
       AND coalesce(s.go_live_on <= p_now::date, i.rostered_at IS NOT NULL)
       AND greatest(coalesce(n.last_success_at, s.go_live_on::timestamptz, i.rostered_at),
         n.watched_from,{from_first}
         (SELECT max((least(b.ends_on, z.today) + 1)::timestamp AT TIME ZONE z.name)
          FROM sync_blackouts b WHERE b.tenant_id = d.tenant_id
            AND b.integration_id = d.integration_id AND b.starts_on <= z.today))
         < p_now - d.every_days * interval '1 day' - p_allowance),
   taken AS (
     INSERT INTO sync_standings AS n (tenant_id, late_told_at) SELECT id, p_now FROM late
     ON CONFLICT (tenant_id) DO UPDATE SET late_told_at = p_now WHERE n.late_told_at IS NULL
     RETURNING n.tenant_id)
   SELECT l.id, l.slug, l.last_success_at, l.every_days
   FROM late l JOIN taken k ON k.tenant_id = l.id ORDER BY l.slug $$
"""
# As in 0011. Mails are given up after seven days: of those of before nobody has to be alarmed.
FIGURES = """
CREATE OR REPLACE FUNCTION read_figures()
RETURNS TABLE (name text, label text, figure double precision)
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
     FROM mail_outbox o WHERE o.sent_at IS NULL{of_late}) w GROUP BY w.label
   UNION ALL
   SELECT 'mails_lag_seconds', '', coalesce(extract(epoch FROM now() - min(o.due_at)), 0)
   FROM mail_outbox o WHERE o.sent_at IS NULL AND o.due_at <= now() AND o.attempts < 12
     AND o.created_at > now() - interval '7 days' $$
"""
PARTS = {
    "is_active": "(i.status = 'ACTIVE' OR r.mode = 'REVERT') AND ",
    "from_first": "\n         d.first_on::timestamp AT TIME ZONE z.name,",
    "hourly": (
        "\n       AND NOT EXISTS (SELECT FROM sync_standings o"
        " WHERE o.late_told_at > p_now - interval '1 hour')"
    ),
    "of_late": " AND coalesce(o.given_up_at, now()) > now() - interval '7 days'",
}
UNTOLD = "told_at IS NULL AND finished_at IS NOT NULL"


# Whoever connects a tenant, or changes its schedule, says since when it is watched.
WATCHED = "INSERT (tenant_id, watched_from) ON sync_standings"


def upgrade() -> None:
    op.execute(f"GRANT {WATCHED} TO homerow_api")
    _replace(PARTS, untold=f"{UNTOLD} AND mode IN ('FULL', 'DELTA')")


def downgrade() -> None:
    op.execute(f"REVOKE {WATCHED} FROM homerow_api")
    _replace(dict.fromkeys(PARTS, ""), untold=UNTOLD)


def _replace(parts: dict[str, str], *, untold: str) -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for function in (CLAIM, TAKE_LATE, FIGURES):
        op.execute(function.format(**parts))
    op.drop_index("ix_sync_runs_untold", table_name="sync_runs")
    op.create_index("ix_sync_runs_untold", "sync_runs", ["tenant_id"], postgresql_where=untold)
