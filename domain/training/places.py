"""Where people land: the group and the school of those they chose that are theirs now.

A choice is never written by a sync. It counts while its membership lives, and a choice of a group
counts within its school year; where none counts, the only group is taken, or else the person is
asked. So it comes back by itself when the membership returns (product.md G5, G7).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


class PlaceSource(StrEnum):
    """Why somebody lands there."""

    CHOSEN = "CHOSEN"
    ONLY_ONE = "ONLY_ONE"
    PRIMARY = "PRIMARY"
    ASK = "ASK"


YEAR_BEGAN: Final = (
    "(SELECT max(r.rolls_on) FROM year_rollovers r JOIN tenants rt ON rt.id = r.tenant_id"
    " WHERE r.tenant_id = {tenant} AND r.cancelled_at IS NULL"
    " AND r.rolls_on <= (now() AT TIME ZONE rt.time_zone)::date)"
)
"""SQL for the first day of the declared school year that is under way; null where none is."""

IS_OF_THIS_YEAR: Final = (
    "coalesce((d.group_set_at AT TIME ZONE t.time_zone)::date >= y.began, true)"
)
"""SQL for whether a choice of a group `d` was made in the school year that began at `y`."""

PLACES: Final = f"""
SELECT u.tenant_id, u.id AS user_id,
  d.group_id AS chosen_group_id, d.group_set_at, d.group_set_by,
  d.school_id AS chosen_school_id, d.school_set_at, d.school_set_by,
  CASE WHEN c.group_is_theirs THEN d.group_id WHEN cardinality(g.ids) = 1 THEN g.ids[1] END
    AS group_id,
  CASE WHEN c.group_is_theirs THEN 'CHOSEN' WHEN cardinality(g.ids) = 1 THEN 'ONLY_ONE'
    ELSE 'ASK' END AS group_source,
  CASE WHEN c.school_is_theirs THEN d.school_id ELSE s.ids[1] END AS school_id,
  CASE WHEN c.school_is_theirs THEN 'CHOSEN' WHEN s.ids IS NOT NULL THEN 'PRIMARY'
    ELSE 'ASK' END AS school_source
FROM users u
JOIN tenants t ON t.id = u.tenant_id
CROSS JOIN (SELECT {YEAR_BEGAN.format(tenant=":tenant_id")} AS began) y
LEFT JOIN (
  SELECT p.* FROM default_places p
  WHERE p.tenant_id = :tenant_id AND p.user_id = ANY (:user_ids) OFFSET 0) d ON d.user_id = u.id
LEFT JOIN (
  SELECT m.user_id, array_agg(DISTINCT m.group_id) AS ids
  FROM memberships m JOIN groups mg ON mg.tenant_id = m.tenant_id AND mg.id = m.group_id
  WHERE m.tenant_id = :tenant_id AND m.user_id = ANY (:user_ids)
    AND m.archived_at IS NULL AND mg.archived_at IS NULL
  GROUP BY m.user_id) g ON g.user_id = u.id
LEFT JOIN (
  SELECT a.user_id, array_agg(a.school_id ORDER BY a.position, a.school_id) AS ids
  FROM school_affiliations a JOIN schools ms ON ms.tenant_id = a.tenant_id AND ms.id = a.school_id
  WHERE a.tenant_id = :tenant_id AND a.user_id = ANY (:user_ids) AND ms.archived_at IS NULL
  GROUP BY a.user_id) s ON s.user_id = u.id
CROSS JOIN LATERAL (
  SELECT coalesce(d.group_id = ANY (g.ids), false) AND {IS_OF_THIS_YEAR} AS group_is_theirs,
    coalesce(d.school_id = ANY (s.ids), false) AS school_is_theirs) c
WHERE u.tenant_id = :tenant_id AND u.id = ANY (:user_ids) OFFSET 0
"""  # noqa: S608 - our own SQL
"""Where each of some people lands; `group_source` and `school_source` are PlaceSource.

Each table is read once for all of them: OFFSET 0 keeps the planner from doing so person by person,
also where this is part of another statement.
"""


class Place(NamedTuple):
    """A group or a school. `chosen_id` is the choice, which may not count now."""

    id: UUID | None
    source: PlaceSource
    chosen_id: UUID | None
    set_at: datetime | None
    set_by: str | None

    @property
    def is_fallback(self) -> bool:
        """Whether there is a choice that does not count now."""
        return self.chosen_id is not None and self.source is not PlaceSource.CHOSEN


class Places(NamedTuple):
    """Where somebody lands."""

    group: Place
    school: Place


async def places_of_users(
    session: AsyncSession, tenant_id: UUID, user_ids: Sequence[UUID]
) -> Mapping[UUID, Places]:
    """One statement for all of them; who does not exist is left out."""
    rows = await session.execute(text(PLACES), {"tenant_id": tenant_id, "user_ids": list(user_ids)})
    return {
        row.user_id: Places(
            Place(
                row.group_id,
                PlaceSource(row.group_source),
                row.chosen_group_id,
                row.group_set_at,
                row.group_set_by,
            ),
            Place(
                row.school_id,
                PlaceSource(row.school_source),
                row.chosen_school_id,
                row.school_set_at,
                row.school_set_by,
            ),
        )
        for row in rows
    }


_NO_PLACE = Place(None, PlaceSource.ASK, None, None, None)
NOWHERE: Final = Places(_NO_PLACE, _NO_PLACE)
"""Of somebody of whom nothing is known."""
