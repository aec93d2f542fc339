"""Mail: workers take what is due, each mail by one of them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

FUNCTIONS = {
    # It comes up again later unless it is settled: after 5, 10, 20 minutes and so on, at most a
    # day, a dozen times. What has waited for a week is of no use any more: its link is over.
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
    # What was in it is not needed any more, and may have opened an account.
    "settle_mail(uuid, uuid)": """
CREATE FUNCTION settle_mail(p_tenant_id uuid, p_id uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ UPDATE mail_outbox SET sent_at = now(), body_text = '', body_html = ''
   WHERE tenant_id = p_tenant_id AND id = p_id $$
""",
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        "mail_outbox",
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.create_index(
        "ix_mail_outbox_due", "mail_outbox", ["due_at"], postgresql_where="sent_at IS NULL"
    )
    for name, body in FUNCTIONS.items():
        op.execute(body)
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO homerow_worker")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
    op.drop_index("ix_mail_outbox_due", table_name="mail_outbox")
    op.drop_column("mail_outbox", "due_at")
