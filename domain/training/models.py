"""What the training product owns: no sync ever writes here."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, tenant_key


class TrainingSettings(TenantRow, Base):
    """One level's settings: of the tenant (no owner), a school, a group or a user.

    Speed in words per minute, accuracy in percent. None means: as the next level says.
    """

    __tablename__ = "training_settings"
    __table_args__ = (
        tenant_key("school_id", table="schools"),
        tenant_key("group_id", table="groups"),
        tenant_key("user_id", table="users"),
        UniqueConstraint(
            "tenant_id", "school_id", "group_id", "user_id", postgresql_nulls_not_distinct=True
        ),
        CheckConstraint("num_nonnulls(school_id, group_id, user_id) <= 1", name="level"),
    )

    school_id: Mapped[UUID | None]
    group_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    speed_target: Mapped[int | None]
    accuracy_target: Mapped[int | None]
    keyboard_layout: Mapped[str | None]
    has_avatars: Mapped[bool | None]
    age_group: Mapped[str | None]


class Progress(Base):
    """What a student has earned in a group; kept when the membership is archived."""

    __tablename__ = "progress"
    __table_args__ = (
        tenant_key("user_id", table="users"),
        tenant_key("group_id", table="groups"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    lessons: Mapped[int] = mapped_column(server_default=text("0"))
    seconds: Mapped[int] = mapped_column(server_default=text("0"))
    best_speed: Mapped[int | None]
    last_active_at: Mapped[datetime | None]
