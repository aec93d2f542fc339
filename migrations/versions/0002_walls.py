"""The walls: row-level security, grants, staging, and what may be looked up without a tenant."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Tables whose rows belong to the tenant in their column tenant_id.
TENANT_TABLES = (
    "audit_log",
    "contacts",
    "courses",
    "external_keys",
    "groups",
    "hold_limits",
    "holds",
    "integration_credentials",
    "integrations",
    "mail_outbox",
    "match_candidates",
    "membership_spans",
    "memberships",
    "onboarding_steps",
    "progress",
    "requirements",
    "role_maps",
    "school_affiliations",
    "schools",
    "sessions",
    "sharing_rules",
    "sign_in_attempts",
    "sign_in_methods",
    "subscriptions",
    "sync_changes",
    "sync_leases",
    "sync_runs",
    "sync_schedules",
    "terms",
    "training_settings",
    "users",
    "validation_errors",
)
ROSTER_TABLES = (
    "courses",
    "groups",
    "membership_spans",
    "memberships",
    "school_affiliations",
    "schools",
    "terms",
    "users",
)
# What administrators write through the API.
API_TABLES = (
    "contacts",
    "hold_limits",
    "integrations",
    "match_candidates",
    "onboarding_steps",
    "progress",
    "requirements",
    "role_maps",
    "sessions",
    "sharing_rules",
    "sign_in_methods",
    "subscriptions",
    "sync_runs",
    "sync_schedules",
    "training_settings",
    "validation_errors",
)
# What a sync writes beside the roster.
WORKER_TABLES = (
    "external_keys",
    "holds",
    "mail_outbox",
    "match_candidates",
    "sync_leases",
    "sync_runs",
    "sync_schedules",
    "validation_errors",
)
CURRENT_TENANT = "(SELECT nullif(current_setting('homerow.tenant_id', true), '')::uuid)"

FUNCTIONS = (
    """
-- A UUIDv7 from the first 16 digits of one, a counter below 2^26 and a seed; see domain.sync.ids.
CREATE FUNCTION counted_uuid(p_prefix text, p_count bigint, p_seed bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (p_prefix || to_hex((-9223372036854775808)::bigint | (p_count << 36)
    | (hashint8extended(p_count, p_seed) & 68719476735)))::uuid
""",
    """
CREATE FUNCTION find_tenant(p_slug text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT id FROM tenants WHERE slug = p_slug $$
""",
    """
CREATE FUNCTION list_tenants() RETURNS SETOF tenants
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT * FROM tenants $$
""",
    """
CREATE FUNCTION find_api_token(p_hash bytea)
RETURNS TABLE (id uuid, tenant_id uuid, name text, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT id, tenant_id, name, scopes FROM api_tokens
   WHERE token_hash = p_hash AND revoked_at IS NULL
     AND (expires_at IS NULL OR expires_at > now()) $$
""",
    """
-- One row for each tenant asked for, whether it has synced or not.
CREATE FUNCTION summarise_tenants(p_ids uuid[])
RETURNS TABLE (
    tenant_id uuid, licence_limit int, licences_used bigint, go_live_on date, kind text,
    last_run_id uuid, last_successful_run_id uuid, next_sync_at timestamptz, open_errors bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT asked.id, s.licence_limit,
     (SELECT count(*) FROM users u WHERE u.tenant_id = asked.id AND u.archived_at IS NULL
        AND u.is_enabled AND 'STUDENT' = ANY (u.roles)),
     s.go_live_on, s.kind::text,
     (SELECT r.id FROM sync_runs r WHERE r.tenant_id = asked.id AND r.finished_at IS NOT NULL
        ORDER BY r.id DESC LIMIT 1),
     (SELECT r.id FROM sync_runs r WHERE r.tenant_id = asked.id AND r.mode IN ('FULL', 'DELTA')
        AND r.state IN ('SUCCEEDED', 'SUCCEEDED_WITH_ERRORS', 'SUCCEEDED_WITH_HOLD')
        ORDER BY r.id DESC LIMIT 1),
     (SELECT min(d.next_due_at) FROM sync_schedules d
        JOIN integrations i ON i.tenant_id = d.tenant_id AND i.id = d.integration_id
        WHERE d.tenant_id = asked.id AND i.status = 'ACTIVE'),
     (SELECT count(*) FROM validation_errors e
        WHERE e.tenant_id = asked.id AND e.state = 'OPEN')
   FROM unnest(p_ids) AS asked (id)
   LEFT JOIN subscriptions s ON s.tenant_id = asked.id $$
""",
    """
CREATE FUNCTION list_due_schedules(p_now timestamptz)
RETURNS TABLE (tenant_id uuid, integration_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT d.tenant_id, d.integration_id FROM sync_schedules d
   JOIN integrations i ON i.tenant_id = d.tenant_id AND i.id = d.integration_id
   JOIN tenants t ON t.id = d.tenant_id
   WHERE d.next_due_at <= p_now AND i.status = 'ACTIVE' AND t.status = 'ACTIVE' $$
""",
    """
CREATE FUNCTION list_unfinished_runs()
RETURNS TABLE (tenant_id uuid, run_id uuid, state text, requested_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT tenant_id, id, state::text, requested_at FROM sync_runs WHERE finished_at IS NULL $$
""",
    """
-- Takes the next run: one whose worker has not been heard of for p_silence, or else one that
-- waits and whose tenant has none under way. Small runs overtake large ones by a minute for each
-- digit of their size. The new token makes the former holder's apply fail.
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
""",
    """
-- Partitions for this month and the next; the default one takes what is outside.
CREATE FUNCTION ensure_sync_changes_partitions() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
DECLARE
    first date;
    name text;
BEGIN
    FOR first IN
        SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date + make_interval(months => n)
        FROM generate_series(0, 1) n LOOP
        name := 'sync_changes_' || to_char(first, 'YYYY_MM');
        IF to_regclass('public.' || name) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext('homerow partitions'));
            IF to_regclass('public.' || name) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE public.%I PARTITION OF public.sync_changes '
                    'FOR VALUES FROM (%L) TO (%L)',
                    name, first::timestamp AT TIME ZONE 'UTC',
                    (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
            END IF;
        END IF;
    END LOOP;
END $$
""",
)
FUNCTION_NAMES = (
    "counted_uuid(text, bigint, bigint)",
    "find_tenant(text)",
    "list_tenants()",
    "find_api_token(bytea)",
    "summarise_tenants(uuid[])",
    "list_due_schedules(timestamptz)",
    "list_unfinished_runs()",
    "claim_sync_run(interval)",
    "ensure_sync_changes_partitions()",
)


def wall(table: str, condition: str) -> None:
    """The owner passes (migrations and the functions below); everybody else sees one tenant."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY owner ON {table} TO homerow_owner USING (true)")
    op.execute(
        f"CREATE POLICY tenant ON {table} TO homerow_api, homerow_worker "
        f"USING ({condition}) WITH CHECK ({condition})"
    )


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in TENANT_TABLES:
        wall(table, f"tenant_id = {CURRENT_TENANT}")
    wall("tenants", f"id = {CURRENT_TENANT}")
    # An operator's token has no tenant: it is seen where no tenant is set.
    wall("api_tokens", f"tenant_id IS NOT DISTINCT FROM {CURRENT_TENANT}")

    readable = [t for t in TENANT_TABLES if t != "integration_credentials"]
    names = ", ".join([*readable, "tenants", "operators"])
    op.execute(f"GRANT SELECT ON {names} TO homerow_api, homerow_worker")
    op.execute(f"GRANT INSERT, UPDATE ON {', '.join(API_TABLES)}, tenants TO homerow_api")
    op.execute("GRANT SELECT, INSERT, UPDATE ON api_tokens TO homerow_api")
    op.execute("GRANT DELETE ON training_settings, sharing_rules, role_maps TO homerow_api")
    op.execute("GRANT INSERT ON audit_log, sign_in_attempts TO homerow_api, homerow_worker")
    # The API puts credentials in and cannot read them back.
    op.execute("GRANT INSERT, UPDATE ON integration_credentials TO homerow_api")
    op.execute(
        "GRANT SELECT (tenant_id, integration_id, updated_at) ON integration_credentials"
        " TO homerow_api"
    )
    op.execute("GRANT SELECT ON integration_credentials TO homerow_worker")
    op.execute(f"GRANT INSERT, UPDATE, MAINTAIN ON {', '.join(ROSTER_TABLES)} TO homerow_worker")
    op.execute("GRANT DELETE ON school_affiliations, membership_spans TO homerow_worker")
    op.execute(f"GRANT INSERT, UPDATE ON {', '.join(WORKER_TABLES)} TO homerow_worker")
    op.execute("GRANT INSERT, DELETE ON sync_changes, holds TO homerow_worker")

    op.execute("CREATE SCHEMA staging")
    op.execute("REVOKE ALL ON SCHEMA staging FROM PUBLIC")
    op.execute("GRANT USAGE, CREATE ON SCHEMA staging TO homerow_worker")

    for function in FUNCTIONS:
        op.execute(function)
    for name in FUNCTION_NAMES:
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        roles = (
            "homerow_worker"
            if name.startswith(("claim", "counted"))
            else "homerow_api, homerow_worker"
        )
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {roles}")
    op.execute("CREATE TABLE sync_changes_default PARTITION OF sync_changes DEFAULT")
    op.execute("SELECT ensure_sync_changes_partitions()")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in FUNCTION_NAMES:
        op.execute(f"DROP FUNCTION {name}")
    op.execute("DROP SCHEMA staging CASCADE")
    for table in (*TENANT_TABLES, "tenants", "api_tokens"):
        op.execute(f"REVOKE ALL ON {table} FROM homerow_api, homerow_worker")
        op.execute(f"DROP POLICY tenant ON {table}")
        op.execute(f"DROP POLICY owner ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute("REVOKE ALL ON operators FROM homerow_api, homerow_worker")
    op.execute("DROP TABLE sync_changes_default")
