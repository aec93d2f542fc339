"""When the next night comes: local times, right across daylight-saving changes. Pure functions."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from itertools import islice
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

DEFAULT_LOCAL_TIME: Final = time(2, 0)
DEFAULT_SPREAD: Final = timedelta(minutes=30)
HORIZON: Final = timedelta(days=800)
"""How far ahead a night is looked for."""
_DAY: Final = timedelta(days=1)


class Blackout(NamedTuple):
    """Local days on which nothing starts, both of them included."""

    starts_on: date
    ends_on: date


class Rhythm(NamedTuple):
    """Every `every_days` days, counted from `first_on`, at the local time `at` and `offset` later.

    Of the nights that blackouts leave out one is caught up, in the first night after them.
    """

    at: time
    every_days: int
    first_on: date
    zone: ZoneInfo
    offset: timedelta = timedelta(0)
    blackouts: tuple[Blackout, ...] = ()

    def night(self, day: date) -> datetime:
        """The instant of the day's night, in UTC."""
        return local_instant(day, self.at, self.zone) + self.offset

    def is_dark(self, instant: datetime) -> bool:
        """Whether it is inside a blackout."""
        return self._is_dark_day(instant.astimezone(self.zone).date())

    def is_left_out(self, day: date) -> bool:
        """Whether the day's night would be inside a blackout; a late one may be past midnight."""
        return bool(self.blackouts) and (self._is_dark_day(day) or self.is_dark(self.night(day)))

    def is_due(self, day: date) -> bool:
        if day < self.first_on or self.is_left_out(day):
            return False
        return self._is_counted(day) or self._catches_up(day)

    def _is_dark_day(self, day: date) -> bool:
        return any(starts_on <= day <= ends_on for starts_on, ends_on in self.blackouts)

    def _is_counted(self, day: date) -> bool:
        return (day - self.first_on).days % self.every_days == 0

    def _catches_up(self, day: date) -> bool:
        """Whether it is the first night after days left out, one of which was counted."""
        before = day - _DAY
        while before >= self.first_on and self.is_left_out(before):
            if self._is_counted(before):
                return True
            before -= _DAY
        return False


def spread_of(tenant_id: UUID, window: timedelta) -> timedelta:
    """Where in the window a tenant's nights begin, in whole seconds: always the same place."""
    seconds = int(window.total_seconds())
    digest = blake2b(tenant_id.bytes, digest_size=8).digest()
    return timedelta(seconds=int.from_bytes(digest) % seconds if seconds else 0)


def local_instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The instant of a local time, in UTC.

    A time that does not exist that day (clocks go forward) is the first instant after the gap;
    one that comes twice is the first of the two.
    """
    wanted = datetime.combine(day, at, tzinfo=zone)
    instant = wanted.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wanted.replace(tzinfo=None):
        return instant
    # Read with the offset from before the gap, the wanted time lies behind the gap by as much as
    # it lay inside; read with the later offset, before it. The gap is between: halve it.
    low, high = int(wanted.replace(fold=1).timestamp()), int(instant.timestamp())
    after_gap = instant.astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == after_gap:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)


def nights_after(rhythm: Rhythm, after: datetime) -> Iterator[datetime]:
    """The due instants later than `after`, in their order, as far as the horizon."""
    today = after.astimezone(rhythm.zone).date()
    # The night of the day before may begin after midnight.
    day, end = max(today - 2 * _DAY, rhythm.first_on), max(today, rhythm.first_on) + HORIZON
    while day <= end:
        if rhythm.is_due(day) and (instant := rhythm.night(day)) > after:
            yield instant
        day += _DAY


def next_due(rhythm: Rhythm, *, after: datetime) -> datetime | None:
    """The first due instant later than `after`; None: not before the horizon."""
    return next(nights_after(rhythm, after), None)


def next_runs(rhythm: Rhythm, *, after: datetime, count: int) -> list[datetime]:
    return list(islice(nights_after(rhythm, after), count))


def not_in_blackout(rhythm: Rhythm, instant: datetime) -> datetime:
    """The instant itself, or the first night after the blackout that it is in."""
    if not rhythm.is_dark(instant):
        return instant
    day = instant.astimezone(rhythm.zone).date()
    while rhythm.is_left_out(day) or rhythm.night(day) < instant:
        day += _DAY
    return rhythm.night(day)
