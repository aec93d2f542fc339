"""Who signs in and with what: accounts, links, identities, sessions, keys, and what was erased."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

CURRENT_TENANT = "(SELECT nullif(current_setting('homerow.tenant_id', true), '')::uuid)"
TENANT_TABLES = ("accounts", "account_links", "identities", "removals")
METHODS = ("CLEVER", "CLASSLINK", "GOOGLE", "MICROSOFT", "PASSWORD")
ACCOUNT_COLUMNS = (
    "tenant_id, id, user_id, name, email, password_changed_at, totp_step, created_at, created_by,"
    " disabled_at"
)
MAIL_COLUMNS = "tenant_id, id, kind, created_at, sent_at, attempts"

FUNCTIONS = (
    """
-- Whoever has signed in with this token and still may. Who teaches has their groups, who is of a
-- school's staff or its admin has their schools. Time without use is judged by the caller.
CREATE FUNCTION find_session(p_hash bytea)
RETURNS TABLE (
    tenant_id uuid, session_id uuid, user_id uuid, account_id uuid, created_at timestamptz,
    last_seen_at timestamptz, name text, roles text[], group_ids uuid[], school_ids uuid[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT s.tenant_id, s.id, s.user_id, s.account_id, s.created_at, s.last_seen_at,
     coalesce(a.name, concat_ws(' ', u.given_name, u.family_name)), coalesce(u.roles, '{}'),
     CASE WHEN 'TEACHER' = ANY (u.roles) THEN ARRAY(
       SELECT m.group_id FROM memberships m
       JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
       WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id AND m.role = 'TEACHER'
         AND m.archived_at IS NULL AND g.archived_at IS NULL) ELSE '{}' END,
     CASE WHEN u.roles && '{STAFF,SCHOOL_ADMIN}' THEN ARRAY(
       SELECT l.school_id FROM school_affiliations l
       WHERE l.tenant_id = u.tenant_id AND l.user_id = u.id) ELSE '{}' END
   FROM sessions s
   JOIN tenants t ON t.id = s.tenant_id AND t.status <> 'CLOSED'
   LEFT JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
   LEFT JOIN eligibility_overrides o ON o.tenant_id = u.tenant_id AND o.user_id = u.id
   LEFT JOIN accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
   WHERE s.token_hash = p_hash AND s.ended_at IS NULL AND s.expires_at > now()
     AND CASE WHEN s.user_id IS NULL THEN a.disabled_at IS NULL AND a.user_id IS NULL
         ELSE u.archived_at IS NULL AND u.is_enabled
           AND (NOT 'STUDENT' = ANY (u.roles) OR coalesce(o.is_eligible, u.is_eligible)) END $$
""",
    """
-- A token made by a district admin lasts as long as that; one of an operator is worth what the
-- operator is.
CREATE FUNCTION find_api_token(p_hash bytea)
RETURNS TABLE (
    id uuid, tenant_id uuid, name text, scopes text[], role text, last_used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT k.id, k.tenant_id, k.name, k.scopes,
     CASE WHEN k.tenant_id IS NOT NULL THEN 'MACHINE' ELSE coalesce(p.role, 'OPERATOR') END,
     k.last_used_at
   FROM api_tokens k
   LEFT JOIN operators p ON p.id = k.operator_id
   LEFT JOIN tenants t ON t.id = k.tenant_id
   WHERE k.token_hash = p_hash AND k.revoked_at IS NULL
     AND (k.expires_at IS NULL OR k.expires_at > now())
     AND (k.operator_id IS NULL OR p.disabled_at IS NULL)
     AND (k.tenant_id IS NULL OR t.status <> 'CLOSED')
     AND (k.created_by_user_id IS NULL OR EXISTS (
       SELECT FROM users u WHERE u.tenant_id = k.tenant_id AND u.id = k.created_by_user_id
         AND u.archived_at IS NULL AND u.is_enabled AND 'DISTRICT_ADMIN' = ANY (u.roles))) $$
""",
    """
-- Of the tenant that is set: what a password is compared with. The API cannot read it otherwise.
CREATE FUNCTION find_account(p_name text)
RETURNS TABLE (
    account_id uuid, user_id uuid, password_hash text, totp_sealed bytea, totp_step bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT a.id, a.user_id, a.password_hash, a.totp_sealed, a.totp_step
   FROM accounts a
   LEFT JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.user_id
   WHERE a.tenant_id = nullif(current_setting('homerow.tenant_id', true), '')::uuid
     AND a.disabled_at IS NULL
     AND CASE WHEN a.user_id IS NULL THEN lower(a.email) = lower(p_name)
         ELSE u.username_key = casefold(p_name COLLATE "pg_unicode_fast") END
   ORDER BY a.user_id NULLS FIRST LIMIT 1 $$
""",
    """
CREATE FUNCTION find_account_link(p_hash bytea)
RETURNS TABLE (tenant_id uuid, link_id uuid, account_id uuid, kind text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT l.tenant_id, l.id, l.account_id, l.kind::text
   FROM account_links l
   JOIN accounts a ON a.tenant_id = l.tenant_id AND a.id = l.account_id
   JOIN tenants t ON t.id = l.tenant_id
   WHERE l.token_hash = p_hash AND l.used_at IS NULL AND l.expires_at > now()
     AND a.disabled_at IS NULL AND t.status <> 'CLOSED' $$
""",
    """
-- Whose people a provider sends: by the connected integration's own id there, or by a key of the
-- method. Without a row of the method, it is on where the integration is that provider's.
CREATE FUNCTION find_sign_in_tenants(p_method text, p_key text)
RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT t.id FROM tenants t
   LEFT JOIN sign_in_methods m ON m.tenant_id = t.id AND m.method = p_method
   LEFT JOIN integrations i ON i.tenant_id = t.id AND i.status <> 'DISCONNECTED'
     AND i.provider = p_method
   WHERE t.status <> 'CLOSED' AND p_key <> ''
     AND coalesce(m.is_enabled, i.id IS NOT NULL)
     AND (p_key = ANY (m.keys)
       OR CASE p_method WHEN 'CLEVER' THEN i.settings ->> 'district_id'
          WHEN 'CLASSLINK' THEN i.settings ->> 'tenant_id' END = p_key)
   ORDER BY t.id LIMIT 20 $$
""",
    """
-- For whoever looks for the place to sign in: names that the tenants show to everybody.
CREATE FUNCTION search_tenants(p_text text, p_limit int)
RETURNS TABLE (slug text, display_name text, school text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ WITH listed AS (
     SELECT id, slug, display_name FROM tenants WHERE is_listed AND status <> 'CLOSED'),
   places AS (
     SELECT l.slug, l.display_name, NULL::text AS school FROM listed l
     UNION ALL
     SELECT l.slug, l.display_name, coalesce(s.display_name, s.name)
     FROM listed l JOIN schools s ON s.tenant_id = l.id AND s.archived_at IS NULL)
   SELECT slug, display_name, school FROM places
   WHERE position(lower(p_text) IN lower(concat_ws(' ', display_name, school))) > 0
   ORDER BY school IS NOT NULL, lower(display_name), lower(school), slug LIMIT p_limit $$
""",
    """
-- For a sign-in page: what a tenant shows to everybody.
CREATE FUNCTION describe_tenant(p_slug text)
RETURNS TABLE (tenant_id uuid, display_name text, time_zone text, go_live_on date)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT t.id, t.display_name, t.time_zone, s.go_live_on
   FROM tenants t LEFT JOIN subscriptions s ON s.tenant_id = t.id
   WHERE t.slug = p_slug AND t.status <> 'CLOSED' $$
""",
)
FUNCTION_NAMES = (
    "find_session(bytea)",
    "find_api_token(bytea)",
    "find_account(text)",
    "find_account_link(bytea)",
    "find_sign_in_tenants(text, text)",
    "search_tenants(text, int)",
    "describe_tenant(text)",
)
FORMER_FINDER = """
CREATE FUNCTION find_api_token(p_hash bytea)
RETURNS TABLE (id uuid, tenant_id uuid, name text, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ SELECT id, tenant_id, name, scopes FROM api_tokens
   WHERE token_hash = p_hash AND revoked_at IS NULL
     AND (expires_at IS NULL OR expires_at > now()) $$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_tables()
    _extend_tables()
    _extend_sessions()
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO homerow_owner USING (true)")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO homerow_api, homerow_worker "
            f"USING (tenant_id = {CURRENT_TENANT}) WITH CHECK (tenant_id = {CURRENT_TENANT})"
        )
    _grant()
    op.execute("DROP FUNCTION find_api_token(bytea)")
    for function in FUNCTIONS:
        op.execute(function)
    for name in FUNCTION_NAMES:
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO homerow_api")


def _grant() -> None:
    op.execute(f"GRANT SELECT ({ACCOUNT_COLUMNS}), INSERT, UPDATE ON accounts TO homerow_api")
    op.execute("GRANT SELECT, INSERT, UPDATE ON account_links TO homerow_api")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON identities TO homerow_api")
    op.execute("GRANT SELECT, INSERT, UPDATE (retired_at) ON signing_keys TO homerow_api")
    op.execute("GRANT SELECT ON removals TO homerow_api, homerow_worker")
    op.execute("GRANT DELETE ON contacts, sign_in_methods TO homerow_api")
    # Whoever looks whether the schema is the newest asks as one of these.
    op.execute("GRANT SELECT ON alembic_version TO homerow_api, homerow_worker")
    # Mails carry links that set a password: the API writes them and cannot read them back.
    op.execute("REVOKE SELECT ON mail_outbox FROM homerow_api")
    op.execute(f"GRANT SELECT ({MAIL_COLUMNS}), INSERT ON mail_outbox TO homerow_api")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in FUNCTION_NAMES:
        op.execute(f"DROP FUNCTION {name}")
    op.execute(FORMER_FINDER)
    op.execute("REVOKE ALL ON FUNCTION find_api_token(bytea) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION find_api_token(bytea) TO homerow_api, homerow_worker")
    op.execute("REVOKE INSERT ON mail_outbox FROM homerow_api")
    op.execute(f"REVOKE SELECT ({MAIL_COLUMNS}) ON mail_outbox FROM homerow_api")  # noqa: S608 - our own names
    op.execute("GRANT SELECT ON mail_outbox TO homerow_api")
    op.execute("REVOKE DELETE ON contacts, sign_in_methods FROM homerow_api")
    op.execute("REVOKE SELECT ON alembic_version FROM homerow_api, homerow_worker")
    _reduce_sessions()
    _reduce_tables()
    for table in ("removals", "signing_keys", "account_links", "identities", "accounts"):
        op.drop_table(table)


def _one_of(column: str, values: tuple[str, ...], *, nullable: bool = False) -> sa.Column[str]:
    enumeration = sa.Enum(
        *values, name=column, native_enum=False, create_constraint=True, length=40
    )
    return sa.Column(column, enumeration, nullable=nullable)


def _moment(name: str, *, is_now: bool = False) -> sa.Column[datetime]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        server_default=sa.text("now()") if is_now else None,
        nullable=not is_now,
    )


def _keys(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{table}")),
    ]


def _reference(table: str, column: str, to: str, **options: Any) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{to}.tenant_id", f"{to}.id"],
        name=op.f(f"fk_{table}_tenant_id_{column}"),
        **options,
    )


def _create_tables() -> None:
    op.create_table(
        "accounts",
        *_keys("accounts"),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("name", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("password_hash", sa.Text()),
        _moment("password_changed_at"),
        sa.Column("totp_sealed", sa.LargeBinary()),
        sa.Column("totp_step", sa.BigInteger()),
        _moment("created_at", is_now=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        _moment("disabled_at"),
        _reference("accounts", "user_id", "users"),
        sa.UniqueConstraint("tenant_id", "user_id", name=op.f("uq_accounts_tenant_id_user_id")),
        sa.CheckConstraint(
            "(user_id IS NULL) = (email IS NOT NULL) AND (user_id IS NULL) = (name IS NOT NULL)",
            name=op.f("ck_accounts_person"),
        ),
    )
    op.create_index(
        "uq_accounts_email", "accounts", ["tenant_id", sa.text("lower(email)")], unique=True
    )
    op.create_table(
        "account_links",
        *_keys("account_links"),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        _one_of("kind", ("INVITATION", "RESET")),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        _moment("created_at", is_now=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _moment("used_at"),
        _reference("account_links", "account_id", "accounts", ondelete="CASCADE"),
        sa.UniqueConstraint("token_hash", name=op.f("uq_account_links_token_hash")),
    )
    op.create_table(
        "identities",
        *_keys("identities"),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        _one_of("method", METHODS),
        sa.Column("subject", sa.Text(), nullable=False),
        _moment("created_at", is_now=True),
        _moment("last_used_at", is_now=True),
        _reference("identities", "user_id", "users"),
        sa.UniqueConstraint(
            "tenant_id", "method", "subject", name=op.f("uq_identities_tenant_id_method_subject")
        ),
        sa.UniqueConstraint(
            "tenant_id", "method", "user_id", name=op.f("uq_identities_tenant_id_method_user_id")
        ),
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("public", postgresql.JSONB(), nullable=False),
        _moment("created_at", is_now=True),
        _moment("retired_at"),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "removals",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        _one_of("kind", ("PURGE", "PERSON", "TENANT")),
        sa.Column("counts", postgresql.JSONB(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        _moment("created_at", is_now=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removals")),
    )


def _extend_tables() -> None:
    op.add_column(
        "tenants",
        sa.Column("is_listed", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    for table in ("errands", "exports"):
        op.add_column(table, sa.Column("reach", postgresql.JSONB()))
    op.add_column("operators", _moment("disabled_at"))
    _choose("operators", "role", ("OPERATOR", "SUPPORT"))
    for column in (
        sa.Column("created_by", sa.Text()),
        sa.Column("created_by_user_id", sa.Uuid()),
        sa.Column("operator_id", sa.Uuid()),
        _moment("last_used_at"),
    ):
        op.add_column("api_tokens", column)
    op.create_foreign_key(
        op.f("fk_api_tokens_operator_id"), "api_tokens", "operators", ["operator_id"], ["id"]
    )
    _refer("api_tokens", "created_by_user_id", "users")


def _reduce_tables() -> None:
    for column in ("last_used_at", "operator_id", "created_by_user_id", "created_by"):
        op.drop_column("api_tokens", column)
    _unchoose("operators", "role")
    op.drop_column("operators", "disabled_at")
    for table in ("exports", "errands"):
        op.drop_column(table, "reach")
    op.drop_column("tenants", "is_listed")


def _extend_sessions() -> None:
    """Nobody could sign in until now: these tables are empty."""
    for table in ("sessions", "sign_in_attempts", "sign_in_methods"):
        _choose(table, "method", METHODS)
    op.alter_column("sessions", "user_id", nullable=True)
    op.add_column("sessions", sa.Column("account_id", sa.Uuid()))
    op.add_column("sessions", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False))
    op.add_column("sessions", sa.Column("client", sa.Text()))
    _refer("sessions", "account_id", "accounts")
    _refer("sessions", "user_id", "users")
    op.create_check_constraint(
        op.f("ck_sessions_person"), "sessions", "num_nonnulls(user_id, account_id) = 1"
    )
    op.create_index("ix_sessions_user", "sessions", ["tenant_id", "user_id"])
    op.add_column("sign_in_attempts", sa.Column("account_id", sa.Uuid()))
    op.add_column("sign_in_attempts", sa.Column("reason", sa.Text()))
    _choose("sign_in_attempts", "outcome", ("SIGNED_IN", "REFUSED"))
    op.create_index("ix_sign_in_attempts_created", "sign_in_attempts", ["created_at"])
    op.create_index(
        "ix_sign_in_attempts_user", "sign_in_attempts", ["tenant_id", "user_id", "created_at"]
    )
    op.drop_column("sign_in_methods", "settings")
    op.add_column(
        "sign_in_methods",
        sa.Column(
            "keys", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
    )
    op.add_column("sign_in_methods", _one_of("compares", ("ADDRESS", "LOCAL_PART"), nullable=True))
    op.create_index("ix_sign_in_methods_keys", "sign_in_methods", ["keys"], postgresql_using="gin")


def _reduce_sessions() -> None:
    for table in ("sessions", "sign_in_attempts", "sign_in_methods"):
        # Of what the former schema cannot hold.
        op.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        _unchoose(table, "method")
    _unchoose("sign_in_attempts", "outcome")
    op.drop_index("ix_sign_in_methods_keys", table_name="sign_in_methods")
    for column in ("compares", "keys"):
        op.drop_column("sign_in_methods", column)
    op.add_column(
        "sign_in_methods",
        sa.Column("settings", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
    )
    op.drop_index("ix_sign_in_attempts_user", table_name="sign_in_attempts")
    op.drop_index("ix_sign_in_attempts_created", table_name="sign_in_attempts")
    for column in ("reason", "account_id"):
        op.drop_column("sign_in_attempts", column)
    op.drop_index("ix_sessions_user", table_name="sessions")
    op.drop_constraint(op.f("ck_sessions_person"), "sessions")
    op.drop_constraint(op.f("fk_sessions_tenant_id_user_id"), "sessions")
    for column in ("client", "expires_at", "account_id"):
        op.drop_column("sessions", column)
    op.alter_column("sessions", "user_id", nullable=False)


def _refer(table: str, column: str, to: str) -> None:
    op.create_foreign_key(
        op.f(f"fk_{table}_tenant_id_{column}"),
        table,
        to,
        ["tenant_id", column],
        ["tenant_id", "id"],
    )


def _choose(table: str, column: str, values: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{value}'" for value in values)
    op.alter_column(table, column, type_=sa.String(40))
    op.create_check_constraint(op.f(f"ck_{table}_{column}"), table, f"{column} IN ({listed})")


def _unchoose(table: str, column: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{column}"), table)
    op.alter_column(table, column, type_=sa.Text())
