"""Open errors grouped by what one correction mends, the worst and the heaviest first (V5)."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.validation.codes import Severity

_RANK: Final = " ".join(
    f"WHEN '{severity.value}' THEN {rank}" for rank, severity in enumerate(Severity)
)
_ERROR: Final = list(Severity).index(Severity.ERROR)
# A record that was not applied drags down what hangs on it: a school its classes, and those their
# enrollments. An error whose cause is another record is of the latter's weight.
_GROUPS: Final = f"""
WITH open AS (
  SELECT id, code, cause, CASE severity {_RANK} END AS rank,
    coalesce(record_type || ' ' || source_id, id::text) AS name,
    coalesce((record ->> 'concerned')::bigint, 1) AS own
  FROM validation_errors WHERE tenant_id = :tenant_id AND state = 'OPEN'),
dragged AS (
  SELECT cause, name, max(own) AS own FROM open WHERE name <> cause GROUP BY cause, name),
leaves AS (SELECT cause, sum(own) AS weight FROM dragged GROUP BY cause),
below AS (
  SELECT d.cause, sum(d.own + coalesce(l.weight, 0)) AS weight
  FROM dragged d LEFT JOIN leaves l ON l.cause = d.name GROUP BY d.cause),
records AS (
  SELECT code, cause, name, count(*) AS count, min(rank) AS rank, max(own) AS own,
    (array_agg(id ORDER BY id))[1] AS example_id
  FROM open GROUP BY code, cause, name)
SELECT r.code, r.cause, sum(r.count)::bigint AS count, min(r.rank) AS rank,
  (array_agg(r.example_id ORDER BY r.example_id))[1] AS example_id,
  sum(r.own + CASE WHEN r.rank <= {_ERROR} THEN coalesce(b.weight, 0) ELSE 0 END)::bigint AS weight
FROM records r LEFT JOIN below b ON b.cause = r.name
GROUP BY r.code, r.cause
ORDER BY min(r.rank), weight DESC, r.code, r.cause
LIMIT :most
"""  # noqa: S608 - made of our own names


async def list_causes(session: AsyncSession, tenant_id: UUID, most: int) -> Sequence[Row[Any]]:
    """code, cause, count, rank (of the worst severity), weight and example_id (the first)."""
    return (await session.execute(text(_GROUPS), {"tenant_id": tenant_id, "most": most})).all()
