"""Recording results: batches of events from the training application, each of which counts once.

A batch costs a fixed number of statements, however many events are in it. What is wrong with one
event rejects that event alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput
from domain.training.places import places_of_users
from domain.training.progress import lock_progress, read_years

MOST_EVENTS: Final = 2000
"""How many events one request brings; `record_results` itself takes any number."""
MOST_ID: Final = 200
MOST_LESSONS: Final = 1000
MOST_SECONDS: Final = 86_400
MOST_SPEED: Final = 999
MOST_ACCURACY: Final = 100
OLDEST: Final = timedelta(days=400)
"""Ids of events are kept so long, so that what is told again by then counts once."""
IDS_KEPT: Final = OLDEST + timedelta(days=1)
AHEAD: Final = timedelta(days=1)
"""Clocks of devices may be wrong by so much."""


class RejectionCode(StrEnum):
    """Why an event was not counted."""

    INVALID = "INVALID"
    TOO_OLD = "TOO_OLD"
    IN_FUTURE = "IN_FUTURE"
    USER_NOT_FOUND = "USER_NOT_FOUND"
    NO_DEFAULT_GROUP = "NO_DEFAULT_GROUP"
    NOT_A_MEMBER = "NOT_A_MEMBER"


class Event(NamedTuple):
    """What somebody did in a group; without one, in the group that they land in."""

    event_id: str
    user_id: UUID
    group_id: UUID | None
    occurred_at: datetime
    lessons: int = 0
    seconds: int = 0
    speed: Decimal | None = None
    accuracy: Decimal | None = None


class Rejection(NamedTuple):
    """`position` is the event's place in the batch."""

    position: int
    event_id: str
    code: RejectionCode
    message: str


class Recorded(NamedTuple):
    """`repeated`: those that were counted before, or stood in the batch twice."""

    counted: int
    repeated: int
    rejected: Sequence[Rejection]


class _Refusal(NamedTuple):
    code: RejectionCode
    message: str


class _Known(NamedTuple):
    """Who is meant by each id, where those land who came without a group, and who was where."""

    people: Mapping[UUID, UUID]
    places: Mapping[UUID, UUID | None]
    memberships: Collection[tuple[UUID, UUID]]


_UNKNOWN: Final = _Refusal(RejectionCode.USER_NOT_FOUND, "There is no such person.")
_NO_PLACE: Final = _Refusal(
    RejectionCode.NO_DEFAULT_GROUP,
    "The person is in no group, or in several and has chosen none: say which group it was.",
)
_STRANGER: Final = _Refusal(
    RejectionCode.NOT_A_MEMBER, "The person is not in this group and never was."
)
_PEOPLE: Final = """
WITH RECURSIVE who AS (
  SELECT u.id AS asked, u.id, u.merged_into_id FROM users u
  WHERE u.tenant_id = :tenant_id AND u.id = ANY (:user_ids)
  UNION ALL
  SELECT w.asked, u.id, u.merged_into_id FROM who w
  JOIN users u ON u.tenant_id = :tenant_id AND u.id = w.merged_into_id)
SELECT asked, id FROM who WHERE merged_into_id IS NULL
"""
_MEMBERSHIPS: Final = """
SELECT DISTINCT m.user_id, m.group_id
FROM unnest(CAST(:user_ids AS uuid[]), CAST(:group_ids AS uuid[])) w (user_id, group_id)
JOIN memberships m ON m.tenant_id = :tenant_id
  AND m.user_id = w.user_id AND m.group_id = w.group_id
"""
_REMEMBER: Final = """
INSERT INTO progress_events (tenant_id, event_id, occurred_at)
SELECT :tenant_id, w.event_id, w.occurred_at
FROM unnest(CAST(:event_ids AS text[]), CAST(:moments AS timestamptz[])) w (event_id, occurred_at)
ORDER BY w.event_id COLLATE "C"
ON CONFLICT (tenant_id, event_id) DO NOTHING RETURNING event_id
"""
# Both insert in one order, so that batches side by side never wait for each other in a circle.
_COUNT: Final = """
INSERT INTO progress AS p (tenant_id, user_id, group_id, school_year, lessons, seconds,
  best_speed, speed_total, speed_count, best_accuracy, accuracy_total, accuracy_count,
  last_active_at)
SELECT :tenant_id, w.user_id, w.group_id, {year}, sum(w.lessons), sum(w.seconds),
  max(w.speed), coalesce(sum(w.speed), 0), count(w.speed),
  max(w.accuracy), coalesce(sum(w.accuracy), 0), count(w.accuracy), max(w.occurred_at)
FROM unnest(CAST(:user_ids AS uuid[]), CAST(:group_ids AS uuid[]), CAST(:moments AS timestamptz[]),
  CAST(:lessons AS int[]), CAST(:seconds AS int[]), CAST(:speeds AS numeric[]),
  CAST(:accuracies AS numeric[]))
  w (user_id, group_id, occurred_at, lessons, seconds, speed, accuracy)
GROUP BY 2, 3, 4 ORDER BY 2, 3, 4
ON CONFLICT (tenant_id, user_id, group_id, school_year) DO UPDATE SET
  lessons = p.lessons + excluded.lessons, seconds = p.seconds + excluded.seconds,
  best_speed = greatest(p.best_speed, excluded.best_speed),
  speed_total = p.speed_total + excluded.speed_total,
  speed_count = p.speed_count + excluded.speed_count,
  best_accuracy = greatest(p.best_accuracy, excluded.best_accuracy),
  accuracy_total = p.accuracy_total + excluded.accuracy_total,
  accuracy_count = p.accuracy_count + excluded.accuracy_count,
  last_active_at = greatest(p.last_active_at, excluded.last_active_at)
"""


async def record_results(
    session: AsyncSession, tenant_id: UUID, events: Sequence[Event], *, now: datetime
) -> Recorded:
    """Counts each event that is right and new, in the school year in which it occurred.

    Results of somebody who was merged into another person are that person's.
    """
    await lock_progress(session, tenant_id=tenant_id, is_shared=True)
    well_formed: dict[int, Event] = {}
    rejected: list[Rejection] = []
    for index, event in enumerate(events):
        refusal = check_event(event, now=now)
        if refusal is None:
            well_formed[index] = event
        else:
            rejected.append(Rejection(index, event.event_id, *refusal))
    known = await _read_known(session, tenant_id, well_formed.values())
    right: dict[str, Event] = {}
    repeated = 0
    for index, event in well_formed.items():
        placed = _place(event, known)
        if isinstance(placed, _Refusal):
            rejected.append(Rejection(index, event.event_id, *placed))
        elif event.event_id in right:
            repeated += 1
        else:
            right[event.event_id] = placed
    counted = await _count(session, tenant_id, right, now=now) if right else 0
    return Recorded(counted, repeated + len(right) - counted, sorted(rejected))


def check_event(event: Event, *, now: datetime) -> _Refusal | None:
    """What can be said of an event by itself."""
    if not 1 <= len(event.event_id) <= MOST_ID:
        return _invalid(f"An event's id has 1 to {MOST_ID} characters.")
    for name, value, most in (
        ("lessons", event.lessons, MOST_LESSONS),
        ("seconds", event.seconds, MOST_SECONDS),
        ("speed", event.speed, MOST_SPEED),
        ("accuracy", event.accuracy, MOST_ACCURACY),
    ):
        if value is not None and not 0 <= value <= most:
            return _invalid(f"`{name}` is a number from 0 to {most}.")
    if event.occurred_at.tzinfo is None:
        return _invalid("`occurredAt` needs a time zone, such as Z.")
    if event.occurred_at > now + AHEAD:
        return _Refusal(RejectionCode.IN_FUTURE, "This is more than a day ahead.")
    if event.occurred_at < now - OLDEST:
        return _Refusal(RejectionCode.TOO_OLD, f"This is more than {OLDEST.days} days ago.")
    return None


def _invalid(message: str) -> _Refusal:
    return _Refusal(RejectionCode.INVALID, message)


async def _read_known(session: AsyncSession, tenant_id: UUID, events: Iterable[Event]) -> _Known:
    asked = {"tenant_id": tenant_id, "user_ids": list({event.user_id for event in events})}
    found = await session.execute(text(_PEOPLE), asked)
    people: dict[UUID, UUID] = {row.asked: row.id for row in found}
    placeless = {
        people[event.user_id]
        for event in events
        if event.group_id is None and event.user_id in people
    }
    places: dict[UUID, UUID | None] = {}
    if placeless:
        landing = await places_of_users(session, tenant_id, [*placeless])
        places = {user_id: found.group.id for user_id, found in landing.items()}
    pairs = {
        (people[event.user_id], event.group_id)
        for event in events
        if event.group_id is not None and event.user_id in people
    }
    asked = {
        "tenant_id": tenant_id,
        "user_ids": [user_id for user_id, _ in pairs],
        "group_ids": [group_id for _, group_id in pairs],
    }
    found = await session.execute(text(_MEMBERSHIPS), asked)
    return _Known(people, places, {(row.user_id, row.group_id) for row in found})


def _place(event: Event, known: _Known) -> Event | _Refusal:
    """The event of the person and in the group that it counts for."""
    user_id = known.people.get(event.user_id)
    if user_id is None:
        return _UNKNOWN
    if event.group_id is None:
        group_id = known.places.get(user_id)
        return _NO_PLACE if group_id is None else event._replace(user_id=user_id, group_id=group_id)
    if (user_id, event.group_id) not in known.memberships:
        return _STRANGER
    return event._replace(user_id=user_id)


async def _count(
    session: AsyncSession, tenant_id: UUID, events: Mapping[str, Event], *, now: datetime
) -> int:
    """How many of them were new."""
    remembered = await session.scalars(
        text(_REMEMBER),
        {
            "tenant_id": tenant_id,
            "event_ids": list(events),
            "moments": [event.occurred_at for event in events.values()],
        },
    )
    new = [events[event_id] for event_id in remembered]
    if not new:
        return 0
    zone, years = await read_years(
        session, tenant_id=tenant_id, first=now - OLDEST, last=now + AHEAD
    )
    year = years.of("w.occurred_at", zone="CAST(:zone AS text)", days="CAST(:days AS date[])")
    await session.execute(
        text(_COUNT.format(year=year)),
        {
            "tenant_id": tenant_id,
            "zone": zone,
            "days": years.days,
            "user_ids": [event.user_id for event in new],
            "group_ids": [event.group_id for event in new],
            "moments": [event.occurred_at for event in new],
            "lessons": [event.lessons for event in new],
            "seconds": [event.seconds for event in new],
            "speeds": [event.speed for event in new],
            "accuracies": [event.accuracy for event in new],
        },
    )
    return len(new)


def require_batch(events: Sequence[object]) -> None:
    """Of one request. Raises InvalidInput."""
    if not 1 <= len(events) <= MOST_EVENTS:
        raise InvalidInput("events", f"A batch has 1 to {MOST_EVENTS} events.")
