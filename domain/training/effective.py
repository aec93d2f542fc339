"""What holds for whom: of each setting the nearest level's value, and where it comes from.

A person's own settings come before those of the group, the school and the tenant; the group is
the one asked for, or else where the person lands (domain.training.places), and the school is that
group's. Resolved by the database, in one statement for as many as are asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.training.models import AgeGroup
from domain.training.places import PLACES

T = TypeVar("T")
UserKey: TypeAlias = tuple[UUID, UUID | None]
"""A person, and the group that is meant; None: where the person lands."""


class SettingsLevel(StrEnum):
    """Where a value is set, the nearest first. DEFAULT: nowhere."""

    USER = "USER"
    GROUP = "GROUP"
    SCHOOL = "SCHOOL"
    TENANT = "TENANT"
    DEFAULT = "DEFAULT"


class Setting(NamedTuple, Generic[T]):
    """`source_id` is the person, group, school or tenant that says so. None where nobody does."""

    value: T | None = None
    level: SettingsLevel = SettingsLevel.DEFAULT
    source_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Effective:
    """`group_id` and `school_id` are whose settings were looked at on the way to the tenant's."""

    group_id: UUID | None
    school_id: UUID | None
    speed_target: Setting[int]
    accuracy_target: Setting[int]
    keyboard_layout: Setting[str]
    has_avatars: Setting[bool]
    age_group: Setting[AgeGroup]


_FIELDS: Final = ("speed_target", "accuracy_target", "keyboard_layout", "has_avatars")
_LEVELS: Final = {"su": "USER", "sg": "GROUP", "ss": "SCHOOL", "st": "TENANT"}


def _nearest(name: str) -> str:
    """SQL for the value that counts and its level."""
    levels = " ".join(f"WHEN {row}.{name} IS NOT NULL THEN '{_LEVELS[row]}'" for row in _LEVELS)
    values = ", ".join(f"{row}.{name}" for row in _LEVELS)
    return f"coalesce({values}) AS {name}, CASE {levels} ELSE 'DEFAULT' END AS {name}_level"


# Each join names all three owners, so that the unique index finds its one row.
_EFFECTIVE: Final = f"""
WITH chain AS MATERIALIZED ({{chain}})
SELECT c.key, c.asked_id, c.user_id, c.group_id, c.school_id,
  {", ".join(_nearest(name) for name in _FIELDS)}, sg.age_group
FROM chain c
LEFT JOIN training_settings su ON su.tenant_id = :tenant_id AND su.school_id IS NULL
  AND su.group_id IS NULL AND su.user_id = c.user_id
LEFT JOIN training_settings sg ON sg.tenant_id = :tenant_id AND sg.school_id IS NULL
  AND sg.group_id = c.group_id AND sg.user_id IS NULL
LEFT JOIN training_settings ss ON ss.tenant_id = :tenant_id AND ss.school_id = c.school_id
  AND ss.group_id IS NULL AND ss.user_id IS NULL
LEFT JOIN training_settings st ON st.tenant_id = :tenant_id AND st.school_id IS NULL
  AND st.group_id IS NULL AND st.user_id IS NULL
"""  # noqa: S608 - our own SQL
_NONE: Final = "CAST(NULL AS uuid)"
_OF_USERS: Final = _EFFECTIVE.format(
    chain=f"""
  SELECT k.user_id AS key, k.group_id AS asked_id, k.user_id, g.id AS group_id,
    coalesce(g.school_id, p.school_id) AS school_id
  FROM unnest(CAST(:user_ids AS uuid[]), CAST(:group_ids AS uuid[])) AS k (user_id, group_id)
  JOIN ({PLACES}) p ON p.user_id = k.user_id
  LEFT JOIN groups g ON g.tenant_id = :tenant_id AND g.id = coalesce(k.group_id, p.group_id)
  WHERE k.group_id IS NULL OR g.id IS NOT NULL"""  # noqa: S608 - our own SQL
)
_OF_GROUPS: Final = _EFFECTIVE.format(
    chain=f"""
  SELECT g.id AS key, g.id AS asked_id, {_NONE} AS user_id, g.id AS group_id, g.school_id
  FROM groups g WHERE g.tenant_id = :tenant_id AND g.id = ANY (:ids)"""  # noqa: S608 - our own SQL
)
_OF_SCHOOLS: Final = _EFFECTIVE.format(
    chain=f"""
  SELECT s.id AS key, s.id AS asked_id, {_NONE} AS user_id, {_NONE} AS group_id, s.id AS school_id
  FROM schools s WHERE s.tenant_id = :tenant_id AND s.id = ANY (:ids)"""  # noqa: S608 - our own SQL
)
_OF_TENANT: Final = _EFFECTIVE.format(
    chain=f"""
  SELECT t.id AS key, t.id AS asked_id, {_NONE} AS user_id, {_NONE} AS group_id,
    {_NONE} AS school_id
  FROM tenants t WHERE t.id = :tenant_id AND t.id = ANY (:ids)"""  # noqa: S608 - our own SQL
)


async def effective_of_users(
    session: AsyncSession, tenant_id: UUID, keys: Sequence[UserKey]
) -> Mapping[UserKey, Effective]:
    """One statement. People and groups that are not there are left out.

    A group is looked at as asked, whether the person is in it or not and whether it is archived.
    """
    values = {
        "tenant_id": tenant_id,
        "user_ids": [user_id for user_id, _ in keys],
        "group_ids": [group_id for _, group_id in keys],
    }
    rows = await session.execute(text(_OF_USERS), values)
    return {(row.key, row.asked_id): _effective(tenant_id, row) for row in rows}


async def effective_of_groups(
    session: AsyncSession, tenant_id: UUID, group_ids: Sequence[UUID]
) -> Mapping[UUID, Effective]:
    return await _resolve(session, _OF_GROUPS, tenant_id, group_ids)


async def effective_of_schools(
    session: AsyncSession, tenant_id: UUID, school_ids: Sequence[UUID]
) -> Mapping[UUID, Effective]:
    return await _resolve(session, _OF_SCHOOLS, tenant_id, school_ids)


async def effective_of_tenant(
    session: AsyncSession, tenant_id: UUID, tenant_ids: Sequence[UUID]
) -> Mapping[UUID, Effective]:
    """A batch like the others; of `tenant_ids` it knows the one that the session is of."""
    return await _resolve(session, _OF_TENANT, tenant_id, tenant_ids)


async def _resolve(
    session: AsyncSession, statement: str, tenant_id: UUID, ids: Sequence[UUID]
) -> Mapping[UUID, Effective]:
    rows = await session.execute(text(statement), {"tenant_id": tenant_id, "ids": list(ids)})
    return {row.key: _effective(tenant_id, row) for row in rows}


def _effective(tenant_id: UUID, row: Any) -> Effective:
    sources: dict[str, UUID | None] = {
        "USER": row.user_id,
        "GROUP": row.group_id,
        "SCHOOL": row.school_id,
        "TENANT": tenant_id,
        "DEFAULT": None,
    }

    def setting(value: T | None, level: str) -> Setting[T]:
        return Setting(value, SettingsLevel(level), sources[level])

    age_group = AgeGroup(row.age_group) if row.age_group else None
    return Effective(
        group_id=row.group_id,
        school_id=row.school_id,
        speed_target=setting(row.speed_target, row.speed_target_level),
        accuracy_target=setting(row.accuracy_target, row.accuracy_target_level),
        keyboard_layout=setting(row.keyboard_layout, row.keyboard_layout_level),
        has_avatars=setting(row.has_avatars, row.has_avatars_level),
        age_group=setting(age_group, "GROUP" if age_group else "DEFAULT"),
    )
