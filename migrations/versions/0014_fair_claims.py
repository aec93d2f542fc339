"""Claims that leave room: by the size of a run, and by how many already ask its provider."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

FUNCTIONS = {
    # A OneRoster server is known by its host; a package is nobody's server.
    "provider_asked(text, jsonb)": """
CREATE FUNCTION provider_asked(p_provider text, p_settings jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT CASE p_provider
     WHEN 'ONEROSTER_CSV' THEN NULL
     WHEN 'ONEROSTER' THEN lower(substring(p_settings ->> 'base_url' FROM '//([^/?#]+)'))
     ELSE p_provider END $$
""",
    # Takes the next run: one whose worker has not been heard of for p_silence, or else one that
    # waits and whose tenant has none under way. Small runs overtake large ones by a minute for
    # each digit of their size; of a size that nobody knows (0) it is assumed that it has six.
    # p_largest_waiting and p_largest_left are the most digits that such a run may have, and
    # p_per_provider how many runs may read from one provider. NULL is no limit. The new token
    # makes the former holder's apply fail.
    "claim_sync_run(interval, int, int, int)": """
CREATE FUNCTION claim_sync_run(
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
          THEN NOT EXISTS (
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
""",
}
CALLED = "claim_sync_run(interval, int, int, int)"
FORMER = """
CREATE FUNCTION claim_sync_run(p_silence interval)
RETURNS TABLE (tenant_id uuid, run_id uuid, token bigint, former_backend_pid int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
#variable_conflict use_column
DECLARE
    claimed record;
    former int;
BEGIN
    SELECT r.tenant_id, r.id, r.state INTO claimed
    FROM sync_runs r
    LEFT JOIN sync_leases l ON l.tenant_id = r.tenant_id AND l.run_id = r.id
    WHERE r.finished_at IS NULL
      AND CASE WHEN r.state = 'QUEUED'
          THEN NOT EXISTS (
            SELECT FROM sync_runs o WHERE o.tenant_id = r.tenant_id AND o.finished_at IS NULL
              AND o.state <> 'QUEUED')
          ELSE coalesce(l.heartbeat_at, '-infinity') < clock_timestamp() - p_silence END
    ORDER BY r.state = 'QUEUED', r.requested_at + r.size_class * interval '1 minute'
    LIMIT 1 FOR UPDATE OF r SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- A claim that was made between our snapshot and our lock has renewed the lease.
    PERFORM FROM sync_leases l WHERE l.tenant_id = claimed.tenant_id AND l.run_id = claimed.id
        AND l.heartbeat_at >= clock_timestamp() - p_silence;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT l.backend_pid INTO former FROM sync_leases l
    WHERE l.tenant_id = claimed.tenant_id AND l.run_id = claimed.id;
    BEGIN
        UPDATE sync_runs r SET
            state = CASE WHEN r.state = 'QUEUED' THEN 'FETCHING' ELSE r.state END,
            started_at = coalesce(r.started_at, clock_timestamp()),
            attempts = r.attempts + 1
        WHERE r.tenant_id = claimed.tenant_id AND r.id = claimed.id;
    EXCEPTION WHEN unique_violation THEN
        RETURN;  -- another run of the tenant was claimed at the same moment
    END;
    RETURN QUERY
    INSERT INTO sync_leases AS l (tenant_id, run_id, token, heartbeat_at)
    VALUES (claimed.tenant_id, claimed.id, 1, clock_timestamp())
    ON CONFLICT (tenant_id, run_id) DO UPDATE
        SET token = l.token + 1, heartbeat_at = clock_timestamp(), backend_pid = NULL
    RETURNING l.tenant_id, l.run_id, l.token, former;
END $$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP FUNCTION claim_sync_run(interval)")
    for name, body in FUNCTIONS.items():
        op.execute(body)
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {CALLED} TO homerow_worker")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")
    op.execute(FORMER)
    op.execute("REVOKE ALL ON FUNCTION claim_sync_run(interval) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION claim_sync_run(interval) TO homerow_worker")
