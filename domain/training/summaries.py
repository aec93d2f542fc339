"""How a tenant, a school, a group or a person is doing in a school year: numbers to draw charts of.

Each row of progress is compared with the targets that count in its own group for its own student,
and each student is counted once. All nodes of a level are read together, by joins over whole sets.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.training.progress import read_years

SPEED_STEP: Final = 10
ACCURACY_STEP: Final = 5
_LAST_SPEED: Final = 24
_LAST_ACCURACY: Final = 19


class Summarised(StrEnum):
    """Whose summary it is."""

    TENANT = "TENANT"
    SCHOOL = "SCHOOL"
    GROUP = "GROUP"
    USER = "USER"


class Bucket(NamedTuple):
    """How many students have an average from `low`, up to but not including `high`.

    The last bucket that there can be has no end, or includes it.
    """

    low: int
    high: int | None
    students: int


class Reached(NamedTuple):
    """How many reach a target, of those who have results and such a target."""

    students: int
    of: int


class Summary(NamedTuple):
    """Averages are those of the students' averages; `speed` is who reaches that target."""

    school_year: int
    students: int
    with_progress: int
    without_target: int
    lessons: int
    seconds: int
    average_speed: Decimal | None
    average_accuracy: Decimal | None
    last_active_at: datetime | None
    speed: Reached
    accuracy: Reached
    both: Reached
    speeds: Sequence[Bucket]
    accuracies: Sequence[Bucket]


_LIVE_STUDENT: Final = "u.archived_at IS NULL AND 'STUDENT' = ANY (u.roles)"
# Nobody is in an archived group or school any more: there those count who were.
_POPULATIONS: Final = {
    Summarised.TENANT: f"""
  SELECT u.tenant_id AS node_id, u.id AS user_id FROM users u
  WHERE u.tenant_id = :tenant_id AND u.tenant_id = ANY (:ids) AND {_LIVE_STUDENT}""",  # noqa: S608 - our own SQL
    Summarised.SCHOOL: f"""
  SELECT a.school_id AS node_id, a.user_id FROM school_affiliations a
  JOIN schools s ON s.tenant_id = a.tenant_id AND s.id = a.school_id
  JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.user_id
  WHERE a.tenant_id = :tenant_id AND a.school_id = ANY (:ids)
    AND s.archived_at IS NULL AND {_LIVE_STUDENT}
  UNION
  SELECT s.id, m.user_id FROM schools s
  JOIN groups g ON g.tenant_id = s.tenant_id AND g.school_id = s.id
  JOIN memberships m ON m.tenant_id = g.tenant_id AND m.group_id = g.id
  WHERE s.tenant_id = :tenant_id AND s.id = ANY (:ids)
    AND s.archived_at IS NOT NULL AND m.role = 'STUDENT'""",  # noqa: S608 - our own SQL
    Summarised.GROUP: """
  SELECT DISTINCT m.group_id AS node_id, m.user_id FROM memberships m
  JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
  JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id
  WHERE m.tenant_id = :tenant_id AND m.group_id = ANY (:ids) AND m.role = 'STUDENT'
    AND (g.archived_at IS NOT NULL OR (m.archived_at IS NULL AND u.archived_at IS NULL))""",
    Summarised.USER: """
  SELECT u.id AS node_id, u.id AS user_id FROM users u
  WHERE u.tenant_id = :tenant_id AND u.id = ANY (:ids)""",
}
_BELONGS: Final = {
    Summarised.TENANT: "",
    Summarised.SCHOOL: " AND e.school_id = w.node_id",
    Summarised.GROUP: " AND e.group_id = w.node_id",
    Summarised.USER: "",
}
_WANTED: Final = {
    Summarised.TENANT: "",
    Summarised.SCHOOL: " AND g.school_id = ANY (:ids)",
    Summarised.GROUP: " AND p.group_id = ANY (:ids)",
    Summarised.USER: " AND p.user_id = ANY (:ids)",
}
_NUMBERS: Final = (
    "lessons",
    "seconds",
    "speed_total",
    "speed_count",
    "accuracy_total",
    "accuracy_count",
)


def _counted(level: Summarised) -> str:
    """SQL for what counts of a row: a copy is another group's, but in its own group it is shown."""
    if level is Summarised.GROUP:
        return ", ".join(f"p.{name}" for name in _NUMBERS)
    return ", ".join(f"p.{name} - p.copied_{name} AS {name}" for name in _NUMBERS)


# Materialized: with all of it in one join the planner guesses wrongly and goes row by row.
_SUMMARIES: Final = f"""
WITH population AS ({{population}}),
earned AS MATERIALIZED (
  SELECT p.user_id, p.group_id, g.school_id, p.last_active_at,
    {{counted}},
    p.speed_total / nullif(p.speed_count, 0)
      >= coalesce(su.speed_target, sg.speed_target, ss.speed_target, st.speed_target) AS is_fast,
    p.accuracy_total / nullif(p.accuracy_count, 0)
      >= coalesce(su.accuracy_target, sg.accuracy_target, ss.accuracy_target, st.accuracy_target)
      AS is_exact,
    coalesce(su.speed_target, sg.speed_target, ss.speed_target, st.speed_target,
      su.accuracy_target, sg.accuracy_target, ss.accuracy_target, st.accuracy_target)
      IS NOT NULL AS has_target
  FROM progress p
  JOIN groups g ON g.tenant_id = p.tenant_id AND g.id = p.group_id
  LEFT JOIN training_settings su ON su.tenant_id = p.tenant_id AND su.user_id = p.user_id
  LEFT JOIN training_settings sg ON sg.tenant_id = p.tenant_id AND sg.group_id = p.group_id
  LEFT JOIN training_settings ss ON ss.tenant_id = g.tenant_id AND ss.school_id = g.school_id
  LEFT JOIN training_settings st ON st.tenant_id = p.tenant_id
    AND st.school_id IS NULL AND st.group_id IS NULL AND st.user_id IS NULL
  WHERE p.tenant_id = :tenant_id AND p.school_year = :school_year{{wanted}}),
students AS MATERIALIZED (
  SELECT w.node_id, w.user_id, count(e.user_id) > 0 AS has_progress,
    coalesce(bool_or(e.has_target), false) AS has_target,
    coalesce(sum(e.lessons), 0) AS lessons, coalesce(sum(e.seconds), 0) AS seconds,
    sum(e.speed_total) / nullif(sum(e.speed_count), 0) AS speed,
    sum(e.accuracy_total) / nullif(sum(e.accuracy_count), 0) AS accuracy,
    max(e.last_active_at) AS last_active_at,
    bool_or(e.is_fast) AS is_fast, bool_or(e.is_exact) AS is_exact,
    bool_or(CASE WHEN e.is_fast IS NOT NULL AND e.is_exact IS NOT NULL
      THEN e.is_fast AND e.is_exact END) AS is_both
  FROM population w LEFT JOIN earned e ON e.user_id = w.user_id{{belongs}}
  GROUP BY w.node_id, w.user_id),
speeds AS (
  SELECT node_id, jsonb_object_agg(bucket, number) AS numbers FROM (
    SELECT node_id, least(floor(speed / {SPEED_STEP}), {_LAST_SPEED})::int AS bucket,
      count(*) AS number
    FROM students WHERE speed IS NOT NULL GROUP BY 1, 2) b GROUP BY 1),
accuracies AS (
  SELECT node_id, jsonb_object_agg(bucket, number) AS numbers FROM (
    SELECT node_id, least(floor(accuracy / {ACCURACY_STEP}), {_LAST_ACCURACY})::int AS bucket,
      count(*) AS number
    FROM students WHERE accuracy IS NOT NULL GROUP BY 1, 2) b GROUP BY 1),
totals AS (
  SELECT node_id, count(*) AS students, count(*) FILTER (WHERE has_progress) AS with_progress,
    count(*) FILTER (WHERE has_progress AND NOT has_target) AS without_target,
    sum(lessons)::bigint AS lessons, sum(seconds)::bigint AS seconds,
    avg(speed) AS average_speed, avg(accuracy) AS average_accuracy,
    max(last_active_at) AS last_active_at,
    count(*) FILTER (WHERE is_fast) AS fast, count(is_fast) AS of_fast,
    count(*) FILTER (WHERE is_exact) AS exact, count(is_exact) AS of_exact,
    count(*) FILTER (WHERE is_both) AS both_reached, count(is_both) AS of_both
  FROM students GROUP BY node_id)
SELECT t.*, s.numbers AS speeds, a.numbers AS accuracies FROM totals t
LEFT JOIN speeds s ON s.node_id = t.node_id LEFT JOIN accuracies a ON a.node_id = t.node_id
"""  # noqa: S608 - our own SQL


async def summaries_of(
    session: AsyncSession,
    tenant_id: UUID,
    level: Summarised,
    ids: Sequence[UUID],
    *,
    school_year: int,
) -> Mapping[UUID, Summary]:
    """Of all these nodes by one statement. Where nobody is, nobody is counted."""
    statement = _SUMMARIES.format(
        population=_POPULATIONS[level],
        belongs=_BELONGS[level],
        wanted=_WANTED[level],
        counted=_counted(level),
    )
    rows = await session.execute(
        text(statement), {"tenant_id": tenant_id, "ids": list(ids), "school_year": school_year}
    )
    found = {row.node_id: _summary(row, school_year) for row in rows}
    return {node_id: found.get(node_id) or nothing_in(school_year) for node_id in ids}


async def this_school_year(session: AsyncSession, tenant_id: UUID, *, now: datetime) -> int:
    """The tenant's school year that is under way."""
    zone, years = await read_years(session, tenant_id=tenant_id, first=now, last=now)
    return years.first - 1 + bisect_right(years.days, now.astimezone(ZoneInfo(zone)).date())


def nothing_in(school_year: int) -> Summary:
    none = Reached(0, 0)
    return Summary(school_year, 0, 0, 0, 0, 0, None, None, None, none, none, none, [], [])


def _summary(row: Any, school_year: int) -> Summary:
    return Summary(
        school_year=school_year,
        students=row.students,
        with_progress=row.with_progress,
        without_target=row.without_target,
        lessons=row.lessons,
        seconds=row.seconds,
        average_speed=row.average_speed,
        average_accuracy=row.average_accuracy,
        last_active_at=row.last_active_at,
        speed=Reached(row.fast, row.of_fast),
        accuracy=Reached(row.exact, row.of_exact),
        both=Reached(row.both_reached, row.of_both),
        speeds=_buckets(row.speeds, SPEED_STEP, (_LAST_SPEED, None)),
        accuracies=_buckets(row.accuracies, ACCURACY_STEP, (_LAST_ACCURACY, 100)),
    )


def _buckets(
    numbers: Mapping[str, int] | None, step: int, last: tuple[int, int | None]
) -> list[Bucket]:
    """From the lowest to the highest with somebody in it; those between them may be empty."""
    if not numbers:
        return []
    number, end = last
    places = [int(place) for place in numbers]
    return [
        Bucket(
            low=place * step,
            high=end if place == number else (place + 1) * step,
            students=numbers.get(str(place), 0),
        )
        for place in range(min(places), max(places) + 1)
    ]
