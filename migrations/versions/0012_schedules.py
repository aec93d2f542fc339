"""Schedules with a zone, a spread and blackouts of their own; who may ask for syncs, how often."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CURRENT_TENANT = "(SELECT nullif(current_setting('homerow.tenant_id', true), '')::uuid)"
SEES_ALL = "(SELECT current_setting('homerow.reach', true) IS DISTINCT FROM 'SOME')"
POLICIES = ("NOBODY", "SUPPORT", "ADMINISTRATORS")
REACH = {
    "SELECT": f"USING ({SEES_ALL})",
    "INSERT": f"WITH CHECK ({SEES_ALL})",
    "UPDATE": f"USING ({SEES_ALL}) WITH CHECK ({SEES_ALL})",
    "DELETE": f"USING ({SEES_ALL})",
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("sync_schedules", sa.Column("time_zone", sa.Text()))
    op.add_column(
        "sync_schedules",
        sa.Column("spread_minutes", sa.SmallInteger(), server_default="30", nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_sync_schedules_spread_minutes"),
        "sync_schedules",
        "spread_minutes BETWEEN 0 AND 240",
    )
    op.add_column(
        "integrations",
        sa.Column(
            "on_demand",
            sa.Enum(
                *POLICIES,
                name="on_demand",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            server_default="ADMINISTRATORS",
            nullable=False,
        ),
    )
    op.add_column(
        "integrations",
        sa.Column("cooldown_minutes", sa.SmallInteger(), server_default="10", nullable=False),
    )
    op.create_table(
        "sync_blackouts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("starts_on <= ends_on", name=op.f("ck_sync_blackouts_days")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.ForeignKeyConstraint(
            ["tenant_id", "integration_id"], ["integrations.tenant_id", "integrations.id"]
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
    )
    op.execute("ALTER TABLE sync_blackouts ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE sync_blackouts FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON sync_blackouts TO homerow_owner USING (true)")
    op.execute(
        "CREATE POLICY tenant ON sync_blackouts TO homerow_api, homerow_worker"
        f" USING (tenant_id = {CURRENT_TENANT}) WITH CHECK (tenant_id = {CURRENT_TENANT})"
    )
    # Not for people who see a part of their tenant.
    for command, clauses in REACH.items():
        op.execute(
            f"CREATE POLICY reach_{command.lower()} ON sync_blackouts AS RESTRICTIVE"
            f" FOR {command} TO homerow_api {clauses}"
        )
    op.execute("GRANT SELECT ON sync_blackouts TO homerow_api, homerow_worker")
    op.execute("GRANT INSERT, DELETE ON sync_blackouts TO homerow_api")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("sync_blackouts")
    op.drop_column("integrations", "cooldown_minutes")
    op.drop_column("integrations", "on_demand")
    op.drop_column("sync_schedules", "spread_minutes")
    op.drop_column("sync_schedules", "time_zone")
