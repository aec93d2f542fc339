"""What the providers of the network need: keys, eligibility, sharing rules, tried connections."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CURRENT_TENANT = "(SELECT nullif(current_setting('homerow.tenant_id', true), '')::uuid)"
PROVIDERS = "'CLEVER', 'CLASSLINK', 'ONEROSTER', 'ONEROSTER_CSV'"
UNIQUE = "uq_sharing_rules_tenant_id_integration_id_subject"
SUBJECTS = "'SCHOOL', 'GRADE', 'COURSE', 'SUBJECT', 'TERM'"

FUNCTIONS = (
    """
-- Takes the oldest connection that waits to be tried, so that two workers do not try it twice.
CREATE FUNCTION claim_integration_check()
RETURNS TABLE (tenant_id uuid, check_id uuid, integration_id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ UPDATE integration_checks c SET state = 'RUNNING'
   FROM (SELECT w.tenant_id, w.id FROM integration_checks w WHERE w.state = 'WAITING'
         ORDER BY w.requested_at LIMIT 1 FOR UPDATE SKIP LOCKED) w
   WHERE c.tenant_id = w.tenant_id AND c.id = w.id
   RETURNING c.tenant_id, c.id, c.integration_id $$
""",
    """
-- For operators: who shares with us at a provider, and which tenant is connected to it.
CREATE FUNCTION list_onboarding_requests()
RETURNS TABLE (id uuid, provider text, external_id text, name text, first_seen_at timestamptz,
    last_seen_at timestamptz, is_shared boolean, tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT r.id, r.provider::text, r.external_id, r.name, r.first_seen_at, r.last_seen_at,
     r.is_shared,
     (SELECT i.tenant_id FROM integrations i WHERE i.provider = r.provider
        AND i.status <> 'DISCONNECTED'
        AND r.external_id = coalesce(i.settings ->> 'district_id', i.settings ->> 'tenant_id')
        ORDER BY i.created_at LIMIT 1)
   FROM onboarding_requests r $$
""",
)
FUNCTION_ROLES = {
    "claim_integration_check()": "homerow_worker",
    "list_onboarding_requests()": "homerow_api, homerow_worker",
}

SUMMARISE = """
CREATE OR REPLACE FUNCTION summarise_tenants(p_ids uuid[])
RETURNS TABLE (
    tenant_id uuid, licence_limit int, licences_used bigint, go_live_on date, kind text,
    last_run_id uuid, last_successful_run_id uuid, next_sync_at timestamptz, open_errors bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT asked.id, s.licence_limit,
     (SELECT count(*) FROM users u WHERE u.tenant_id = asked.id AND u.archived_at IS NULL
        AND u.is_enabled{eligible} AND 'STUDENT' = ANY (u.roles)),
     s.go_live_on, s.kind::text,
     (SELECT r.id FROM sync_runs r WHERE r.tenant_id = asked.id AND r.finished_at IS NOT NULL
        {synced}ORDER BY r.id DESC LIMIT 1),
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
"""


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
    # A preview changes nothing: it is not what the summary calls a sync.
    op.execute(SUMMARISE.format(eligible=" AND u.is_eligible", synced="AND r.mode <> 'PREFLIGHT' "))


def _add_columns() -> None:
    empty = sa.text("'{}'")
    for table in ("schools", "groups", "users"):
        op.add_column(
            table, sa.Column("keys", sa.ARRAY(sa.Text()), server_default=empty, nullable=False)
        )
    op.add_column(
        "users",
        sa.Column("is_eligible", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.add_column(
        "integrations",
        sa.Column(
            "with_student_email", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
    )
    op.add_column("integrations", sa.Column("eligibility", postgresql.JSONB(), nullable=True))
    op.add_column(
        "integrations",
        sa.Column("cursors", postgresql.JSONB(), server_default=empty, nullable=False),
    )
    op.add_column("integrations", sa.Column("sharing_preview_run_id", sa.Uuid(), nullable=True))
    op.add_column("sync_runs", sa.Column("sharing_rules", postgresql.JSONB(), nullable=True))
    op.add_column(
        "sync_runs",
        sa.Column("left_out", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
    )
    op.alter_column(
        "sharing_rules", "subject", type_=sa.String(40), postgresql_using="subject::varchar(40)"
    )
    op.create_check_constraint(
        op.f("ck_sharing_rules_subject"), "sharing_rules", f"subject IN ({SUBJECTS})"
    )
    op.create_unique_constraint(
        op.f(UNIQUE), "sharing_rules", ["tenant_id", "integration_id", "subject"]
    )


def _create_tables() -> None:
    op.create_table(
        "integration_checks",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column(
            "requested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("steps", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.CheckConstraint("state IN ('WAITING', 'RUNNING', 'DONE')", name="state"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.ForeignKeyConstraint(
            ["tenant_id", "integration_id"], ["integrations.tenant_id", "integrations.id"]
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
    )
    op.create_index(
        "ix_integration_checks_waiting",
        "integration_checks",
        ["requested_at"],
        postgresql_where=sa.text("state = 'WAITING'"),
    )
    op.create_table(
        "onboarding_requests",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.CheckConstraint(f"provider IN ({PROVIDERS})", name="provider"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider", "external_id"),
    )


def _raise_walls() -> None:
    conditions = {
        "integration_checks": f"tenant_id = {CURRENT_TENANT}",
        # Nobody's until a tenant is connected to it: seen where no tenant is set.
        "onboarding_requests": f"{CURRENT_TENANT} IS NULL",
    }
    for table, condition in conditions.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO homerow_owner USING (true)")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO homerow_api, homerow_worker "
            f"USING ({condition}) WITH CHECK ({condition})"
        )
    op.execute("GRANT SELECT ON integration_checks TO homerow_api, homerow_worker")
    op.execute("GRANT INSERT ON integration_checks TO homerow_api")
    op.execute("GRANT UPDATE ON integration_checks TO homerow_worker")
    op.execute("GRANT SELECT, INSERT, UPDATE ON onboarding_requests TO homerow_worker")
    # A finished delta leaves where the next one begins; nothing else of an integration is its.
    op.execute("GRANT UPDATE (cursors) ON integrations TO homerow_worker")
    op.execute("GRANT DELETE ON integration_checks TO homerow_worker")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(SUMMARISE.format(eligible="", synced=""))
    for name in FUNCTION_ROLES:
        op.execute(f"DROP FUNCTION {name}")
    op.execute("REVOKE UPDATE (cursors) ON integrations FROM homerow_worker")
    op.drop_table("onboarding_requests")
    op.drop_table("integration_checks")
    op.drop_constraint(op.f(UNIQUE), "sharing_rules")
    op.drop_constraint(op.f("ck_sharing_rules_subject"), "sharing_rules")
    op.alter_column("sharing_rules", "subject", type_=sa.Text())
    for column in ("sharing_rules", "left_out"):
        op.drop_column("sync_runs", column)
    for column in ("with_student_email", "eligibility", "cursors", "sharing_preview_run_id"):
        op.drop_column("integrations", column)
    op.drop_column("users", "is_eligible")
    for table in ("schools", "groups", "users"):
        op.drop_column(table, "keys")
