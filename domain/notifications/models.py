"""Mail that waits to be sent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base


class MailOutbox(Base):
    """Sent at `due_at` or soon after, and again later where that failed; then it is emptied.

    Without a tenant it goes to somebody on the product's own side. Of mails with the same
    `once_key` each recipient gets one. `given_up_at`: nobody has taken it for days.
    """

    # The API writes mails and may not read them back.
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012 - SQLAlchemy's attribute
    __tablename__ = "mail_outbox"
    __table_args__ = (
        Index("ix_mail_outbox_due", "due_at", postgresql_where=text("sent_at IS NULL")),
        Index(
            "uq_mail_outbox_once",
            "tenant_id",
            "once_key",
            "recipient",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("once_key IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))

    kind: Mapped[str]
    recipient: Mapped[str]
    subject: Mapped[str]
    body_text: Mapped[str]
    body_html: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    sent_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    once_key: Mapped[str | None]
    given_up_at: Mapped[datetime | None]
