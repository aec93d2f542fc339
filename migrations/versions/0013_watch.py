"""The watch over the nights: what is told of a run, who keeps failing, and who is late."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CURRENT_TENANT = "(SELECT nullif(current_setting('homerow.tenant_id', true), '')::uuid)"
SEES_ALL = "(SELECT current_setting('homerow.reach', true) IS DISTINCT FROM 'SOME')"
TOLD_AS = ("NONE", "SUMMARY", "NEW_ERRORS", "HOLD", "FAILURE", "OFF", "RECOVERED")
PROVIDERS = ("CLEVER", "CLASSLINK", "ONEROSTER", "ONEROSTER_CSV")
OLD_FUNCTIONS = {
    "claim_mails(int)": """
CREATE FUNCTION claim_mails(p_limit int)
RETURNS TABLE (
    tenant_id uuid, id uuid, recipient text, subject text, body_text text, body_html text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ UPDATE mail_outbox m SET attempts = m.attempts + 1,
     due_at = now() + least(interval '5 minutes' * 2 ^ m.attempts, interval '1 day')
   FROM (SELECT o.tenant_id, o.id FROM mail_outbox o
     WHERE o.sent_at IS NULL AND o.due_at <= now() AND o.attempts < 12
       AND o.created_at > now() - interval '7 days'
     ORDER BY o.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) c
   WHERE m.tenant_id = c.tenant_id AND m.id = c.id
   RETURNING m.tenant_id, m.id, m.recipient, m.subject, m.body_text, m.body_html $$
""",
    "settle_mail(uuid, uuid)": """
CREATE FUNCTION settle_mail(p_tenant_id uuid, p_id uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ UPDATE mail_outbox SET sent_at = now(), body_text = '', body_html = ''
   WHERE tenant_id = p_tenant_id AND id = p_id $$
""",
}
WORKER = "homerow_worker"
BOTH = "homerow_api, homerow_worker"
FUNCTIONS = {
    # As before; a mail of the operators has no tenant.
    "claim_mails(int)": (
        WORKER,
        """
CREATE FUNCTION claim_mails(p_limit int)
RETURNS TABLE (
    tenant_id uuid, id uuid, recipient text, subject text, body_text text, body_html text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ UPDATE mail_outbox m SET attempts = m.attempts + 1,
     due_at = now() + least(interval '5 minutes' * 2 ^ m.attempts, interval '1 day')
   FROM (SELECT o.id FROM mail_outbox o
     WHERE o.sent_at IS NULL AND o.given_up_at IS NULL AND o.due_at <= now() AND o.attempts < 12
       AND o.created_at > now() - interval '7 days'
     ORDER BY o.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) c
   WHERE m.id = c.id
   RETURNING m.tenant_id, m.id, m.recipient, m.subject, m.body_text, m.body_html $$
""",
    ),
    "settle_mail(uuid)": (
        WORKER,
        """
CREATE FUNCTION settle_mail(p_id uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ UPDATE mail_outbox SET sent_at = now(), body_text = '', body_html = '' WHERE id = p_id $$
""",
    ),
    # Which claim_mails takes no more. What was in them is not needed any more.
    "give_up_mails()": (
        WORKER,
        """
CREATE FUNCTION give_up_mails() RETURNS TABLE (tenant_id uuid, id uuid, kind text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ UPDATE mail_outbox m SET given_up_at = now(), body_text = '', body_html = ''
   WHERE m.sent_at IS NULL AND m.given_up_at IS NULL
     AND (m.created_at <= now() - interval '7 days' OR m.attempts >= 12 AND m.due_at <= now())
   RETURNING m.tenant_id, m.id, m.kind $$
""",
    ),
    "count_mails()": (
        BOTH,
        """
CREATE FUNCTION count_mails()
RETURNS TABLE (waiting bigint, failing bigint, oldest_at timestamptz, given_up bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT count(*) FILTER (WHERE w), count(*) FILTER (WHERE w AND m.attempts > 0),
     min(m.created_at) FILTER (WHERE w), count(*) FILTER (WHERE NOT w)
   FROM (SELECT *, given_up_at IS NULL AS w FROM mail_outbox WHERE sent_at IS NULL
     AND (given_up_at IS NULL OR given_up_at > now() - interval '7 days')) m $$
""",
    ),
    "list_untold_tenants()": (
        WORKER,
        """
CREATE FUNCTION list_untold_tenants() RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT DISTINCT r.tenant_id FROM sync_runs r
   WHERE r.told_at IS NULL AND r.finished_at IS NOT NULL AND r.mode IN ('FULL', 'DELTA') $$
""",
    ),
    # Tenants with somebody who wants one mail a day, and whose hour has come or is not known yet.
    "list_due_digests(timestamptz)": (
        WORKER,
        """
CREATE FUNCTION list_due_digests(p_now timestamptz) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT DISTINCT c.tenant_id FROM contacts c
   JOIN tenants t ON t.id = c.tenant_id AND t.status = 'ACTIVE'
   LEFT JOIN sync_standings n ON n.tenant_id = c.tenant_id
   WHERE c.delivery = 'DAILY' AND c.summary_mail <> 'NEVER'
     AND (n.digest_due_at IS NULL OR n.digest_due_at <= p_now) $$
""",
    ),
    # Marks and returns the tenants whose last success is older than promised, each once until it
    # is well again: active, live, not paused, and with a schedule, be it switched off.
    "take_late(timestamptz, interval)": (
        WORKER,
        """
CREATE FUNCTION take_late(p_now timestamptz, p_allowance interval)
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
     WHERE t.status = 'ACTIVE' AND n.late_told_at IS NULL
       AND coalesce(s.go_live_on <= p_now::date, i.rostered_at IS NOT NULL)
       AND greatest(coalesce(n.last_success_at, s.go_live_on::timestamptz, i.rostered_at),
         n.watched_from,
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
""",
    ),
    # From seven in the morning of the day before.
    "take_coming_blackouts(timestamptz)": (
        WORKER,
        """
CREATE FUNCTION take_coming_blackouts(p_now timestamptz)
RETURNS TABLE (tenant_id uuid, starts_on date, ends_on date, reason text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ UPDATE sync_blackouts b SET told_at = p_now
   FROM sync_schedules d
   JOIN integrations i ON i.tenant_id = d.tenant_id AND i.id = d.integration_id
   JOIN tenants t ON t.id = d.tenant_id
   WHERE d.tenant_id = b.tenant_id AND d.integration_id = b.integration_id
     AND i.status = 'ACTIVE' AND t.status = 'ACTIVE' AND b.told_at IS NULL
     AND b.starts_on = ((p_now AT TIME ZONE coalesce(d.time_zone, t.time_zone))
       - interval '7 hours')::date + 1
   RETURNING b.tenant_id, b.starts_on, b.ends_on, b.reason $$
""",
    ),
    # Of each provider, how many tenants had a run lately, and of how many the last one failed in
    # one of these ways.
    "count_recent_runs(timestamptz, text[])": (
        WORKER,
        """
CREATE FUNCTION count_recent_runs(p_since timestamptz, p_codes text[])
RETURNS TABLE (provider text, ran bigint, failing bigint, first_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT i.provider::text, count(*), count(*) FILTER (WHERE n.last_code = ANY (p_codes)),
     min(n.last_run_at) FILTER (WHERE n.last_code = ANY (p_codes))
   FROM sync_standings n
   JOIN integrations i ON i.tenant_id = n.tenant_id AND i.status <> 'DISCONNECTED'
   WHERE n.last_run_at > p_since GROUP BY i.provider $$
""",
    ),
    # A first failure that was the provider's is no step towards the quarantine.
    "excuse_failures(text, timestamptz, text[])": (
        WORKER,
        """
CREATE FUNCTION excuse_failures(p_provider text, p_since timestamptz, p_codes text[])
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ WITH excused AS (
     UPDATE sync_standings n SET failures = 0, first_failed_at = NULL
     FROM integrations i WHERE i.tenant_id = n.tenant_id AND i.status <> 'DISCONNECTED'
       AND i.provider = p_provider AND n.failures = 1 AND n.last_run_at > p_since
       AND n.last_code = ANY (p_codes)
     RETURNING 1)
   SELECT count(*) FROM excused $$
""",
    ),
    # For operators: who keeps failing, the longest first.
    "list_quarantined()": (
        BOTH,
        """
CREATE FUNCTION list_quarantined()
RETURNS TABLE (tenant_id uuid, slug text, failures int, since timestamptz, reason text,
    is_off boolean, next_try_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT n.tenant_id, t.slug, n.failures, n.first_failed_at, n.last_code, n.is_off,
     (SELECT min(d.next_due_at) FROM sync_schedules d
      JOIN integrations i ON i.tenant_id = d.tenant_id AND i.id = d.integration_id
      WHERE d.tenant_id = n.tenant_id AND i.status = 'ACTIVE')
   FROM sync_standings n JOIN tenants t ON t.id = n.tenant_id
   WHERE (n.failures > 1 OR n.is_off) AND t.status = 'ACTIVE'
   ORDER BY n.first_failed_at, t.slug $$
""",
    ),
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _widen_outbox()
    _widen_tables()
    _create_tables()
    for name in OLD_FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
    for name, (roles, body) in FUNCTIONS.items():
        _create(name, body, roles)


def _create(name: str, body: str, roles: str) -> None:
    op.execute(body)
    op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {roles}")


def _widen_outbox() -> None:
    """A mail to the product's own side is no tenant's: it is seen where no tenant is set."""
    op.drop_constraint("pk_mail_outbox", "mail_outbox")
    op.create_primary_key("pk_mail_outbox", "mail_outbox", ["id"])
    op.alter_column("mail_outbox", "tenant_id", nullable=True)
    op.add_column("mail_outbox", sa.Column("once_key", sa.Text()))
    op.add_column("mail_outbox", sa.Column("given_up_at", sa.DateTime(timezone=True)))
    op.create_index(
        "uq_mail_outbox_once",
        "mail_outbox",
        ["tenant_id", "once_key", "recipient"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where="once_key IS NOT NULL",
    )
    _wall_outbox(f"tenant_id IS NOT DISTINCT FROM {CURRENT_TENANT}")


def _wall_outbox(condition: str) -> None:
    op.execute(f"ALTER POLICY tenant ON mail_outbox USING ({condition}) WITH CHECK ({condition})")


def _widen_tables() -> None:
    op.add_column(
        "contacts",
        sa.Column("delivery", sa.String(40), server_default=sa.text("'EACH_RUN'"), nullable=False),
    )
    op.create_check_constraint("delivery", "contacts", "delivery IN ('EACH_RUN', 'DAILY')")
    op.add_column("sync_runs", sa.Column("told_at", sa.DateTime(timezone=True)))
    op.add_column("sync_runs", sa.Column("told_as", sa.String(40)))
    listed = ", ".join(f"'{value}'" for value in TOLD_AS)
    op.create_check_constraint("told_as", "sync_runs", f"told_as IN ({listed})")
    op.execute(
        "UPDATE sync_runs SET told_at = finished_at, told_as = 'NONE'"
        " WHERE finished_at IS NOT NULL AND mode IN ('FULL', 'DELTA')"
    )
    op.create_index(
        "ix_sync_runs_untold",
        "sync_runs",
        ["tenant_id"],
        postgresql_where="told_at IS NULL AND finished_at IS NOT NULL",
    )


def _create_tables() -> None:
    op.create_table(
        "sync_standings",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("first_failed_at"),
        sa.Column("is_off", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "told", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        _moment("last_run_at"),
        sa.Column("last_code", sa.Text()),
        _moment("last_success_at"),
        _moment("watched_from"),
        _moment("late_told_at"),
        sa.Column("licence_level", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        _moment("digest_due_at"),
        _moment("digest_from"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.execute(
        "INSERT INTO sync_standings (tenant_id, last_success_at)"
        " SELECT tenant_id, max(finished_at) FROM sync_runs WHERE mode IN ('FULL', 'DELTA')"
        " AND state IN ('SUCCEEDED', 'SUCCEEDED_WITH_ERRORS', 'SUCCEEDED_WITH_HOLD')"
        " GROUP BY tenant_id"
    )
    listed = ", ".join(f"'{value}'" for value in PROVIDERS)
    op.create_table(
        "provider_outages",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("tenants", sa.Integer(), nullable=False),
        _moment("began_at", is_given=True),
        _moment("noticed_at", is_given=True),
        _moment("ended_at"),
        sa.CheckConstraint(f"provider IN ({listed})", name="provider"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_provider_outages_open",
        "provider_outages",
        ["provider"],
        unique=True,
        postgresql_where="ended_at IS NULL",
    )
    _raise_walls()


def _moment(name: str, *, is_given: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not is_given)


def _raise_walls() -> None:
    for table, condition in {
        "sync_standings": f"tenant_id = {CURRENT_TENANT}",
        "provider_outages": f"{CURRENT_TENANT} IS NULL",
    }.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO homerow_owner USING (true)")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO homerow_api, homerow_worker"
            f" USING ({condition}) WITH CHECK ({condition})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO homerow_worker")
        op.execute(f"GRANT SELECT ON {table} TO homerow_api")
    # Whoever resumes an integration lets it begin anew.
    op.execute("GRANT UPDATE ON sync_standings TO homerow_api")
    for command, clause in {
        "SELECT": f"USING ({SEES_ALL})",
        "INSERT": f"WITH CHECK ({SEES_ALL})",
        "UPDATE": f"USING ({SEES_ALL}) WITH CHECK ({SEES_ALL})",
        "DELETE": f"USING ({SEES_ALL})",
    }.items():
        op.execute(
            f"CREATE POLICY reach_{command.lower()} ON sync_standings AS RESTRICTIVE"
            f" FOR {command} TO homerow_api {clause}"
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
    op.drop_table("provider_outages")
    op.drop_table("sync_standings")
    op.drop_index("ix_sync_runs_untold", table_name="sync_runs")
    for column in ("told_as", "told_at"):
        op.drop_column("sync_runs", column)
    op.drop_column("contacts", "delivery")
    _wall_outbox(f"tenant_id = {CURRENT_TENANT}")
    op.drop_index("uq_mail_outbox_once", table_name="mail_outbox")
    for column in ("given_up_at", "once_key"):
        op.drop_column("mail_outbox", column)
    # The former schema has no place for the operators' mails.
    op.execute("DELETE FROM mail_outbox WHERE tenant_id IS NULL")
    op.alter_column("mail_outbox", "tenant_id", nullable=False)
    op.drop_constraint("pk_mail_outbox", "mail_outbox")
    op.create_primary_key("pk_mail_outbox", "mail_outbox", ["tenant_id", "id"])
    for name, body in OLD_FUNCTIONS.items():
        _create(name, body, WORKER)
