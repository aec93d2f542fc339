"""What an administrator trusts a sync by: approvals, held changes, links, merges, reverts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CURRENT_TENANT = "(SELECT nullif(current_setting('homerow.tenant_id', true), '')::uuid)"
MODES = "'FULL', 'DELTA', 'PREFLIGHT', 'REVALIDATION', 'SINGLE_USER'"
RECORD_TYPES = "'SCHOOL', 'TERM', 'COURSE', 'GROUP', 'USER', 'MEMBERSHIP'"
POLICIES = "'REPLACE', 'MATCH_USERNAME', 'MATCH_KEYS'"
ORIGINS = "'LEGACY', 'PROVIDER', 'IMPORT'"
FUNCTIONS = (
    """
-- Which upload a ticket is for, while it may be used.
CREATE FUNCTION find_upload(p_hash bytea)
RETURNS TABLE (tenant_id uuid, upload_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT u.tenant_id, u.id FROM uploads u
   WHERE u.token_hash = p_hash AND u.received_at IS NULL AND u.expires_at > now() $$
""",
    """
-- Uses a ticket for a download: the second time it is not there any more.
CREATE FUNCTION claim_export(p_hash bytea)
RETURNS TABLE (tenant_id uuid, export_id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ UPDATE exports e SET used_at = now()
   WHERE e.token_hash = p_hash AND e.used_at IS NULL AND e.expires_at > now()
   RETURNING e.tenant_id, e.id $$
""",
    """
-- Drops the months of changes that ended before p_before, and what lies outside of them.
CREATE FUNCTION drop_sync_changes(p_before timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
DECLARE
    name text;
    dropped int := 0;
BEGIN
    PERFORM set_config('lock_timeout', '5s', true);
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.sync_changes'::regclass
          AND c.relname ~ '^sync_changes_\\d{4}_\\d{2}$'
          AND (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month')
              AT TIME ZONE 'UTC' <= p_before
    LOOP
        EXECUTE format('DROP TABLE public.%I', name);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM sync_changes_default WHERE created_at < p_before;
    RETURN dropped;
END $$
""",
    """
-- Takes the oldest errand of a tenant that has no sync under way, so that two workers do not run
-- it twice. One whose worker died is taken again after a minute.
CREATE FUNCTION claim_errand()
RETURNS TABLE (tenant_id uuid, errand_id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ UPDATE errands e SET state = 'RUNNING', started_at = clock_timestamp()
   FROM (SELECT w.tenant_id, w.id FROM errands w
         WHERE (w.state = 'WAITING' OR (w.state = 'RUNNING'
             AND w.started_at < clock_timestamp() - interval '1 minute'))
           AND NOT EXISTS (SELECT FROM sync_runs r WHERE r.tenant_id = w.tenant_id
             AND r.finished_at IS NULL AND r.state <> 'QUEUED')
         ORDER BY w.requested_at LIMIT 1 FOR UPDATE SKIP LOCKED) w
   WHERE e.tenant_id = w.tenant_id AND e.id = w.id
   RETURNING e.tenant_id, e.id $$
""",
    """
-- Since when a district shares with us at a provider, by the provider's id of it.
CREATE FUNCTION find_share(p_provider text, p_external_id text)
RETURNS TABLE (first_seen_at timestamptz, is_shared boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT r.first_seen_at, r.is_shared FROM onboarding_requests r
   WHERE r.provider = p_provider AND r.external_id = p_external_id $$
""",
    """
-- Who gets licences first, and how many are needed by the last preflight, unless a sync has been
-- applied since then.
CREATE FUNCTION forecast_licences(p_ids uuid[])
RETURNS TABLE (
    tenant_id uuid, licence_order text, licence_school_ids uuid[], forecast int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT s.tenant_id, s.licence_order::text, s.licence_school_ids,
     (SELECT CASE WHEN r.mode = 'PREFLIGHT' THEN (r.report -> 'licences' ->> 'needed')::int END
        FROM sync_runs r
        WHERE r.tenant_id = s.tenant_id AND ((r.mode IN ('FULL', 'DELTA')
            AND r.state IN ('SUCCEEDED', 'SUCCEEDED_WITH_ERRORS', 'SUCCEEDED_WITH_HOLD'))
          OR (r.mode = 'PREFLIGHT' AND jsonb_typeof(r.report) = 'object'
            AND coalesce(jsonb_typeof(r.sharing_rules), 'null') = 'null'
            AND r.finished_at IS NOT NULL))
        ORDER BY r.id DESC LIMIT 1)
   FROM subscriptions s WHERE s.tenant_id = ANY (p_ids) $$
""",
    """
-- Uploads and downloads that nobody can use any more, and errands whose answer was read long ago.
CREATE FUNCTION delete_old_tickets(p_now timestamptz) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ DELETE FROM uploads WHERE expires_at < p_now;
   DELETE FROM exports WHERE expires_at < p_now;
   DELETE FROM errands WHERE finished_at < p_now - interval '1 day' $$
""",
)
FUNCTION_ROLES = {
    "find_upload(bytea)": "homerow_api",
    "claim_export(bytea)": "homerow_api",
    "find_share(text, text)": "homerow_api",
    "forecast_licences(uuid[])": "homerow_api",
    "drop_sync_changes(timestamptz)": "homerow_worker",
    "delete_old_tickets(timestamptz)": "homerow_worker",
    "claim_errand()": "homerow_worker",
}
TENANT_TABLES = (
    "errands",
    "exports",
    "identity_links",
    "people_merges",
    "preflight_items",
    "uploads",
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _add_columns()
    _create_tables()
    _raise_walls()
    for function in FUNCTIONS:
        op.execute(function)
    for name, roles in FUNCTION_ROLES.items():
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {roles}")


def _json(name: str, default: str | None) -> sa.Column[object]:
    return sa.Column(
        name,
        postgresql.JSONB(),
        server_default=sa.text(default) if default else None,
        nullable=default is None,
    )


def _texts(name: str, default: str) -> sa.Column[object]:
    return sa.Column(
        name, sa.ARRAY(sa.Text()), server_default=sa.text(f"'{default}'"), nullable=False
    )


def _moment(name: str, *, is_made: bool = False) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        server_default=sa.text("now()") if is_made else None,
        nullable=not is_made,
    )


def _columns() -> dict[str, tuple[sa.Column[object], ...]]:
    return {
        "sync_runs": (
            sa.Column("approves_run_id", sa.Uuid(), nullable=True),
            sa.Column("reverts_run_id", sa.Uuid(), nullable=True),
            _json("target", None),
            _json("steps", "'[]'"),
            _json("report", None),
            sa.Column("basis", sa.Text(), nullable=True),
            _moment("cancel_requested_at"),
            sa.Column("cancelled_by", sa.Text(), nullable=True),
        ),
        "sync_changes": (sa.Column("held_by", sa.Text(), nullable=True),),
        "holds": (_texts("told", "{}"),),
        "integrations": (
            sa.Column("existing_accounts", sa.String(40), nullable=True),
            _texts("match_keys", "{number,email}"),
            sa.Column("holds_everything", sa.Boolean(), server_default=sa.false(), nullable=False),
            _texts("email_domains", "{}"),
            _json("expectations", None),
            sa.Column("approved_run_id", sa.Uuid(), nullable=True),
            _moment("approved_at"),
            sa.Column("approved_by", sa.Text(), nullable=True),
            sa.Column("approved_basis", sa.Text(), nullable=True),
            _moment("rostered_at"),
            sa.Column("former_provider", sa.String(40), nullable=True),
        ),
        "subscriptions": (
            sa.Column(
                "licence_order", sa.String(40), server_default=sa.text("'CREATED'"), nullable=False
            ),
            sa.Column(
                "licence_school_ids",
                sa.ARRAY(sa.Uuid()),
                server_default=sa.text("'{}'"),
                nullable=False,
            ),
        ),
        "users": (sa.Column("merged_into_id", sa.Uuid(), nullable=True),),
        "validation_errors": (
            _moment("accepted_at"),
            sa.Column("accepted_by", sa.Text()),
            sa.Column("accepted_note", sa.Text()),
        ),
    }


def _add_columns() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    op.drop_constraint(op.f("ck_sync_runs_mode"), "sync_runs")
    op.create_check_constraint(
        op.f("ck_sync_runs_mode"), "sync_runs", f"mode IN ({MODES}, 'REVERT')"
    )
    for table, column, values in (
        ("integrations", "existing_accounts", POLICIES),
        ("integrations", "former_provider", "'CLEVER', 'CLASSLINK', 'ONEROSTER', 'ONEROSTER_CSV'"),
        ("subscriptions", "licence_order", "'CREATED', 'SCHOOL_PRIORITY'"),
    ):
        op.create_check_constraint(op.f(f"ck_{table}_{column}"), table, f"{column} IN ({values})")
    op.create_foreign_key(
        op.f("fk_users_tenant_id_merged_into_id"),
        "users",
        "users",
        ["tenant_id", "merged_into_id"],
        ["tenant_id", "id"],
    )
    op.create_index(
        "ix_users_legacy", "users", ["tenant_id"], postgresql_where=sa.text("origin = 'LEGACY'")
    )
    # Whoever was synced before this needs no approval of a first sync any more.
    op.execute(
        "UPDATE integrations i SET rostered_at = r.finished_at FROM ("
        " SELECT tenant_id, integration_id, max(finished_at) AS finished_at FROM sync_runs"
        " WHERE mode IN ('FULL', 'DELTA') AND state LIKE 'SUCCEEDED%' GROUP BY 1, 2) r"
        " WHERE i.tenant_id = r.tenant_id AND i.id = r.integration_id"
    )


def _tenant_table(name: str, *columns: sa.Column[object] | sa.Constraint) -> None:
    op.create_table(
        name,
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
    )


def _create_tables() -> None:
    _tenant_table(
        "identity_links",
        sa.Column("record_type", sa.String(40), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("former_source_id", sa.Text(), nullable=True),
        sa.Column("former_origin", sa.String(40), nullable=False),
        sa.Column("former_archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        _moment("created_at", is_made=True),
        _moment("ended_at"),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.CheckConstraint(f"record_type IN ({RECORD_TYPES})", name="record_type"),
        sa.CheckConstraint(f"former_origin IN ({ORIGINS})", name="former_origin"),
    )
    op.create_index("ix_identity_links_record", "identity_links", ["tenant_id", "record_id"])
    _tenant_table(
        "people_merges",
        sa.Column("kept_id", sa.Uuid(), nullable=False),
        sa.Column("merged_id", sa.Uuid(), nullable=False),
        _json("undo", "'{}'"),
        sa.Column("created_by", sa.Text(), nullable=False),
        _moment("created_at", is_made=True),
        _moment("undone_at"),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id", "kept_id"], ["users.tenant_id", "users.id"]),
        sa.ForeignKeyConstraint(["tenant_id", "merged_id"], ["users.tenant_id", "users.id"]),
    )
    _tenant_table(
        "preflight_items",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("record_type", sa.String(40), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=True),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        _json("details", "'{}'"),
        sa.CheckConstraint(f"record_type IN ({RECORD_TYPES})", name="record_type"),
        sa.ForeignKeyConstraint(["tenant_id", "run_id"], ["sync_runs.tenant_id", "sync_runs.id"]),
    )
    op.create_index(
        "ix_preflight_items_run", "preflight_items", ["tenant_id", "run_id", "topic", "id"]
    )
    _create_ticket_tables()


def _create_ticket_tables() -> None:
    _tenant_table(
        "errands",
        sa.Column("kind", sa.Text(), nullable=False),
        _json("asked", "'{}'"),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        _moment("requested_at", is_made=True),
        _moment("started_at"),
        _moment("finished_at"),
        _json("result", None),
        sa.Column("refused_code", sa.Text(), nullable=True),
        sa.Column("refused_field", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('WAITING', 'RUNNING', 'DONE', 'REFUSED')", name="state"),
    )
    op.create_index(
        "ix_errands_waiting",
        "errands",
        ["requested_at"],
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    _tenant_table(
        "uploads",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        _moment("created_at", is_made=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _moment("received_at"),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.UniqueConstraint("token_hash"),
    )
    _tenant_table(
        "exports",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        _json("choice", "'{}'"),
        sa.Column("created_by", sa.Text(), nullable=False),
        _moment("created_at", is_made=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _moment("used_at"),
        sa.UniqueConstraint("token_hash"),
    )


def _raise_walls() -> None:
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO homerow_owner USING (true)")
        condition = f"tenant_id = {CURRENT_TENANT}"
        op.execute(
            f"CREATE POLICY tenant ON {table} TO homerow_api, homerow_worker "
            f"USING ({condition}) WITH CHECK ({condition})"
        )
    op.execute(f"GRANT SELECT ON {', '.join(TENANT_TABLES)} TO homerow_api, homerow_worker")
    op.execute("GRANT INSERT, UPDATE ON exports, uploads TO homerow_api")
    op.execute("GRANT INSERT ON errands TO homerow_api")
    op.execute("GRANT UPDATE ON errands TO homerow_worker")
    op.execute("GRANT UPDATE (content) ON uploads TO homerow_worker")
    op.execute("GRANT INSERT, UPDATE ON identity_links, people_merges TO homerow_worker")
    op.execute("GRANT INSERT, DELETE ON preflight_items TO homerow_worker")
    op.execute("GRANT DELETE ON match_candidates TO homerow_worker")
    op.execute("GRANT UPDATE (rostered_at) ON integrations TO homerow_worker")
    op.execute("GRANT UPDATE (held_by) ON sync_changes TO homerow_worker")
    op.execute("GRANT INSERT, UPDATE ON onboarding_steps TO homerow_worker")
    op.execute("GRANT DELETE ON onboarding_steps, hold_limits, requirements TO homerow_api")
    # Whoever was there before rostering brings settings and progress along; a worker may add
    # those, and never change or remove any.
    op.execute("GRANT INSERT ON progress, training_settings TO homerow_worker")
    op.execute("GRANT UPDATE ON holds TO homerow_api")
    op.execute("GRANT DELETE ON integration_credentials TO homerow_api")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in FUNCTION_ROLES:
        op.execute(f"DROP FUNCTION {name}")
    op.execute("REVOKE UPDATE (rostered_at) ON integrations FROM homerow_worker")
    op.execute("REVOKE UPDATE (held_by) ON sync_changes FROM homerow_worker")
    for grant in (
        "INSERT ON progress, training_settings FROM homerow_worker",
        "DELETE ON onboarding_steps, hold_limits, requirements FROM homerow_api",
        "INSERT, UPDATE ON onboarding_steps FROM homerow_worker",
        "DELETE ON match_candidates FROM homerow_worker",
        "UPDATE ON holds FROM homerow_api",
        "DELETE ON integration_credentials FROM homerow_api",
    ):
        op.execute(f"REVOKE {grant}")
    for table in TENANT_TABLES:
        op.drop_table(table)
    op.drop_index("ix_users_legacy", "users")
    op.drop_constraint(op.f("fk_users_tenant_id_merged_into_id"), "users", type_="foreignkey")
    op.drop_constraint(op.f("ck_sync_runs_mode"), "sync_runs")
    op.execute("UPDATE sync_runs SET mode = 'FULL' WHERE mode = 'REVERT'")
    op.create_check_constraint(op.f("ck_sync_runs_mode"), "sync_runs", f"mode IN ({MODES})")
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)
