"""Mail that waits to be sent."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow


class MailOutbox(TenantRow, Base):
    """Sent at `due_at` or soon after, and again later where that failed; then it is emptied."""

    # The API writes mails and may not read them back.
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012 - SQLAlchemy's attribute
    __tablename__ = "mail_outbox"
    __table_args__ = (
        Index("ix_mail_outbox_due", "due_at", postgresql_where=text("sent_at IS NULL")),
    )

    kind: Mapped[str]
    recipient: Mapped[str]
    subject: Mapped[str]
    body_text: Mapped[str]
    body_html: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    sent_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
