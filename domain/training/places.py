"""Where people land: the group and the school of those they chose that are theirs now.

A choice is never written by a sync. It counts while its membership lives, and a choice of a group
counts within its school year; where none counts, the only group is taken, or else the person is
asked. So it comes back by itself when the membership returns (product.md G5, G7).
"""

from enum import StrEnum
from typing import Final


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
  d.group_id AS chosen_group_id, d.school_id AS chosen_school_id,
  CASE WHEN c.group_is_theirs THEN d.group_id WHEN g.number = 1 THEN g.only_id END AS group_id,
  CASE WHEN c.group_is_theirs THEN 'CHOSEN' WHEN g.number = 1 THEN 'ONLY_ONE' ELSE 'ASK' END
    AS group_source,
  CASE WHEN c.school_is_theirs THEN d.school_id ELSE s.primary_id END AS school_id,
  CASE WHEN c.school_is_theirs THEN 'CHOSEN' WHEN s.primary_id IS NOT NULL THEN 'PRIMARY'
    ELSE 'ASK' END AS school_source
FROM users u
JOIN tenants t ON t.id = u.tenant_id
CROSS JOIN (SELECT {YEAR_BEGAN.format(tenant=":tenant_id")} AS began) y
LEFT JOIN default_places d ON d.tenant_id = u.tenant_id AND d.user_id = u.id
CROSS JOIN LATERAL (
  SELECT count(DISTINCT m.group_id) AS number, (array_agg(m.group_id))[1] AS only_id,
    coalesce(bool_or(m.group_id = d.group_id), false) AS has_chosen
  FROM memberships m JOIN groups mg ON mg.tenant_id = m.tenant_id AND mg.id = m.group_id
  WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id
    AND m.archived_at IS NULL AND mg.archived_at IS NULL) g
CROSS JOIN LATERAL (
  SELECT (array_agg(a.school_id ORDER BY a.position))[1] AS primary_id,
    coalesce(bool_or(a.school_id = d.school_id), false) AS has_chosen
  FROM school_affiliations a JOIN schools ms ON ms.tenant_id = a.tenant_id AND ms.id = a.school_id
  WHERE a.tenant_id = u.tenant_id AND a.user_id = u.id AND ms.archived_at IS NULL) s
CROSS JOIN LATERAL (
  SELECT g.has_chosen AND {IS_OF_THIS_YEAR} AS group_is_theirs,
    s.has_chosen AS school_is_theirs) c
WHERE u.tenant_id = :tenant_id AND u.id = ANY (:user_ids)
"""  # noqa: S608 - our own SQL
"""Where each of some people lands; `group_source` and `school_source` are PlaceSource."""
