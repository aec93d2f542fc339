"""What the training application reads (product.md L9): people, their groups, what holds for them.

A page is a fixed number of statements, whoever is on it. `read_version` is one statement: what
it tells is another text whenever something that a page shows has changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.training.effective import Effective, effective_of_users
from domain.training.eligibility import is_eligible
from domain.training.places import NOWHERE, YEAR_BEGAN, Places, places_of_users

MOST_USERS: Final = 100

# Python knows no day before the year 1, which some write for no day.
_VISIBLE_ON: Final = (
    "CASE WHEN g.starts_on < '0002-01-01' THEN g.starts_on ELSE g.starts_on - l.days END"
)
_LEAD_DAYS: Final = (
    "(SELECT coalesce(max(i.group_lead_days), 0) FROM integrations i"
    " WHERE i.tenant_id = :tenant_id AND i.status <> 'DISCONNECTED')"
)
_VERSION: Final = f"""
SELECT (SELECT v.version FROM training_versions v WHERE v.tenant_id = :tenant_id) AS settings,
  (SELECT concat(r.id, r.phases -> 'APPLYING') FROM sync_runs r
   WHERE r.tenant_id = :tenant_id AND r.phases -> 'APPLYING' IS NOT NULL
     AND (r.mode = 'REVERT' OR jsonb_path_exists(r.counts,
       '$.* ? (@.created > 0 || @.updated > 0 || @.archived > 0 || @.restored > 0)'))
   ORDER BY r.id DESC LIMIT 1) AS roster,
  (SELECT concat(count(*), max(e.finished_at)) FROM errands e
   WHERE e.tenant_id = :tenant_id AND e.state = 'DONE' AND NOT e.asked @> '{{"apply": false}}')
    AS errands,
  {_LEAD_DAYS} AS lead_days, {YEAR_BEGAN.format(tenant=":tenant_id")} AS year_began,
  (SELECT t.time_zone FROM tenants t WHERE t.id = :tenant_id) AS time_zone
"""  # noqa: S608 - our own SQL
_USERS: Final = f"""
SELECT u.id, u.source_id, u.username, coalesce(u.preferred_given_name, u.given_name) AS given_name,
  coalesce(u.preferred_family_name, u.family_name) AS family_name, u.roles, u.is_enabled,
  {is_eligible("u", user_id="u.id", tenant_id=":tenant_id")} AS is_eligible,
  u.archived_at IS NOT NULL AS is_archived, u.merged_into_id
FROM users u WHERE u.tenant_id = :tenant_id AND {{conditions}} ORDER BY u.id LIMIT :most
"""  # noqa: S608 - our own SQL
_IS_IN_GROUP: Final = (
    "EXISTS (SELECT FROM memberships m JOIN groups g ON g.tenant_id = m.tenant_id"
    " AND g.id = m.group_id WHERE m.tenant_id = :tenant_id AND m.group_id = :group_id"
    " AND m.user_id = u.id AND m.archived_at IS NULL AND g.archived_at IS NULL)"
)
_GROUPS: Final = f"""
SELECT m.user_id, g.id, g.name, g.school_id, array_agg(m.role ORDER BY m.role) AS roles,
  g.starts_on, g.ends_on, {_VISIBLE_ON} AS visible_on
FROM memberships m JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
CROSS JOIN (SELECT {_LEAD_DAYS} AS days) l
WHERE m.tenant_id = :tenant_id AND m.user_id = ANY (:user_ids)
  AND m.archived_at IS NULL AND g.archived_at IS NULL
GROUP BY m.user_id, g.tenant_id, g.id, l.days ORDER BY m.user_id, g.name, g.id
"""  # noqa: S608 - our own SQL
_SCHOOLS: Final = """
SELECT a.user_id, array_agg(a.school_id ORDER BY a.position, a.school_id) AS ids
FROM school_affiliations a JOIN schools s ON s.tenant_id = a.tenant_id AND s.id = a.school_id
WHERE a.tenant_id = :tenant_id AND a.user_id = ANY (:user_ids) AND s.archived_at IS NULL
GROUP BY a.user_id
"""


class Wanted(NamedTuple):
    """Which people, by id: `ids` are given whether they are archived or not, others while live."""

    ids: Sequence[UUID] | None = None
    group_id: UUID | None = None
    after: UUID | None = None
    most: int = MOST_USERS


@dataclass(frozen=True, slots=True)
class TrainingGroup:
    """A live group of somebody, and what holds for them there."""

    id: UUID
    name: str
    school_id: UUID
    roles: list[str]
    starts_on: date | None
    ends_on: date | None
    visible_on: date | None
    settings: Effective


@dataclass(frozen=True, slots=True)
class TrainingUser:
    """The names are those that the person wants to be called by."""

    id: UUID
    source_id: str | None
    username: str | None
    given_name: str
    family_name: str
    roles: list[str]
    is_enabled: bool
    is_eligible: bool
    is_archived: bool
    merged_into_id: UUID | None
    school_ids: list[UUID]
    groups: list[TrainingGroup]
    places: Places
    settings: Effective


class TrainingPage(NamedTuple):
    """`last_id` is where the next page goes on; None: there is none."""

    users: list[TrainingUser]
    last_id: UUID | None


async def read_version(session: AsyncSession, tenant_id: UUID) -> tuple[Any, ...]:
    """One statement. To be read before the page, in one snapshot with it."""
    row = (await session.execute(text(_VERSION), {"tenant_id": tenant_id})).one()
    return tuple(row)


async def read_page(session: AsyncSession, tenant_id: UUID, wanted: Wanted) -> TrainingPage:
    rows = await _read_users(session, tenant_id, wanted)
    shown = rows[: wanted.most]
    user_ids = [row.id for row in shown]
    asked = {"tenant_id": tenant_id, "user_ids": user_ids}
    groups: dict[UUID, list[Any]] = {user_id: [] for user_id in user_ids}
    for group in await session.execute(text(_GROUPS), asked):
        groups[group.user_id].append(group)
    schools = {row.user_id: list(row.ids) for row in await session.execute(text(_SCHOOLS), asked)}
    places = await places_of_users(session, tenant_id, user_ids)
    keys: list[tuple[UUID, UUID | None]] = [(user_id, None) for user_id in user_ids]
    keys += [(user_id, group.id) for user_id in user_ids for group in groups[user_id]]
    settings = await effective_of_users(session, tenant_id, keys)
    users = [
        TrainingUser(
            **row._mapping,  # noqa: SLF001 - SQLAlchemy's public name for it
            school_ids=schools.get(row.id, []),
            groups=[_group(group, settings) for group in groups[row.id]],
            places=places.get(row.id, NOWHERE),
            settings=settings[row.id, None],
        )
        for row in shown
    ]
    return TrainingPage(users, user_ids[-1] if len(rows) > wanted.most else None)


async def _read_users(session: AsyncSession, tenant_id: UUID, wanted: Wanted) -> Sequence[Any]:
    """One more than wanted, where there are more."""
    values: dict[str, Any] = {"tenant_id": tenant_id, "most": wanted.most + 1}
    if wanted.ids is None:
        conditions = ["u.archived_at IS NULL"]
    else:
        conditions = ["u.id = ANY (:ids)"]
        values["ids"] = list(wanted.ids)
    if wanted.group_id is not None:
        conditions.append(_IS_IN_GROUP)
        values["group_id"] = wanted.group_id
    if wanted.after is not None:
        conditions.append("u.id > :after")
        values["after"] = wanted.after
    statement = _USERS.format(conditions=" AND ".join(conditions))
    return (await session.execute(text(statement), values)).all()


def _group(row: Any, settings: Mapping[tuple[UUID, UUID | None], Effective]) -> TrainingGroup:
    return TrainingGroup(
        id=row.id,
        name=row.name,
        school_id=row.school_id,
        roles=list(row.roles),
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        visible_on=row.visible_on,
        settings=settings[row.user_id, row.id],
    )
