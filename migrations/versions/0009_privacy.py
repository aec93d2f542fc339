"""Erasing: people whom nobody needs any more, with all that is kept about them."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OF_MEMBERSHIPS = "(SELECT m.id FROM memberships m WHERE m.tenant_id = t AND m.user_id = ANY (ids))"
SOURCE_IDS = (
    "(SELECT u.source_id FROM users u WHERE u.tenant_id = t AND u.id = ANY (ids)"
    " AND u.source_id IS NOT NULL)"
)
HISTORY = (
    "(record_type = 'USER' AND record_id = ANY (ids))"
    f" OR (record_type = 'MEMBERSHIP' AND record_id IN {OF_MEMBERSHIPS})"
)
# In this order: what refers to something goes before it.
ERASED = {
    "sync_changes": HISTORY,
    "preflight_items": HISTORY,
    "validation_errors": (
        f"(record_type = 'USER' AND source_id IN {SOURCE_IDS}) OR (record_type = 'MEMBERSHIP'"
        f" AND record ->> 'user_source_id' IN {SOURCE_IDS})"
    ),
    "match_candidates": (
        f"candidate_ids && ids::text[] OR (record_type = 'USER' AND source_id IN {SOURCE_IDS})"
    ),
    "membership_spans": f"membership_id IN {OF_MEMBERSHIPS}",
    "memberships": "user_id = ANY (ids)",
    "school_affiliations": "user_id = ANY (ids)",
    "progress_carries": "user_id = ANY (ids)",
    "progress": "user_id = ANY (ids)",
    "training_settings": "user_id = ANY (ids)",
    "default_places": "user_id = ANY (ids)",
    "eligibility_overrides": "user_id = ANY (ids)",
    "external_keys": "record_type = 'USER' AND record_id = ANY (ids)",
    "identity_links": "record_type = 'USER' AND record_id = ANY (ids)",
    "people_merges": "kept_id = ANY (ids) OR merged_id = ANY (ids)",
    "identities": "user_id = ANY (ids)",
    "sign_in_attempts": "user_id = ANY (ids)",
    "sessions": "user_id = ANY (ids)",
    "account_links": (
        "account_id IN (SELECT a.id FROM accounts a"
        " WHERE a.tenant_id = t AND a.user_id = ANY (ids))"
    ),
    "accounts": "user_id = ANY (ids)",
    "users": "id = ANY (ids)",
}
DELETE = """
  DELETE FROM {table} WHERE tenant_id = t AND ({rows});
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n > 0 THEN counts := counts || jsonb_build_object('{table}', n); END IF;"""


def _erase_people() -> str:
    """Of the tenant that is set, and only who has been archived; with them who was merged in."""
    deletes = "".join(DELETE.format(table=table, rows=rows) for table, rows in ERASED.items())
    return f"""
CREATE FUNCTION erase_people(p_ids uuid[], p_kind text, p_by text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  t uuid := nullif(current_setting('homerow.tenant_id', true), '')::uuid;
  ids uuid[];
  counts jsonb := '{{}}';
  n bigint;
BEGIN
  WITH RECURSIVE gone AS (
    SELECT id FROM users WHERE tenant_id = t AND id = ANY (p_ids) AND archived_at IS NOT NULL
    UNION
    SELECT u.id FROM users u JOIN gone ON u.merged_into_id = gone.id WHERE u.tenant_id = t)
  SELECT array_agg(id) INTO ids FROM gone;
  IF ids IS NULL THEN RETURN counts; END IF;
  UPDATE api_tokens SET revoked_at = coalesce(revoked_at, now()), created_by_user_id = NULL
  WHERE tenant_id = t AND created_by_user_id = ANY (ids);{deletes}
  INSERT INTO removals (tenant_id, slug, kind, counts, requested_by)
  SELECT t, slug, p_kind, counts, p_by FROM tenants WHERE id = t;
  RETURN counts;
END $$
"""


FUNCTIONS = {
    "erase_people(uuid[], text, text)": _erase_people(),
    # Who was archived before a moment, a tenant a row. Whoever waits for an administrator's
    # answer in a hold is not archived yet.
    "find_erasable(timestamptz, int)": """
CREATE FUNCTION find_erasable(p_before timestamptz, p_limit int)
RETURNS TABLE (tenant_id uuid, user_ids uuid[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT u.tenant_id, array_agg(u.id) FROM (
     SELECT o.tenant_id, o.id FROM users o
     WHERE o.archived_at < p_before ORDER BY o.archived_at LIMIT p_limit) u
   GROUP BY u.tenant_id $$
""",
    # What is about nobody in particular and may still have names or addresses in it.
    "delete_old_traces(timestamptz)": """
CREATE FUNCTION delete_old_traces(p_before timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM mail_outbox WHERE created_at < p_before;
  DELETE FROM sign_in_attempts WHERE created_at < p_before;
  DELETE FROM sessions WHERE coalesce(ended_at, expires_at) < p_before;
  DELETE FROM account_links WHERE expires_at < p_before;
  UPDATE sync_runs SET target = NULL WHERE finished_at < p_before AND target IS NOT NULL;
END $$
""",
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_index(
        "ix_users_archived",
        "users",
        ["archived_at"],
        postgresql_where="archived_at IS NOT NULL",
    )
    for name, body in FUNCTIONS.items():
        op.execute(body)
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO homerow_worker")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
    op.drop_index("ix_users_archived", table_name="users")
