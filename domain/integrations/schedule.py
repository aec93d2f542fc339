"""When the next night comes: local times, right across daylight-saving changes."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DEFAULT_LOCAL_TIME = time(2, 0)


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


def next_due(
    *, first_on: date, at: time, every_days: int, zone: ZoneInfo, after: datetime
) -> datetime:
    """The first due instant later than `after`, counting every N days from `first_on`."""
    day = after.astimezone(zone).date() - timedelta(days=1)
    behind = max((day - first_on).days, 0)
    day = first_on + timedelta(days=behind - behind % every_days)
    while True:
        instant = local_instant(day, at, zone)
        if instant > after:
            return instant
        day += timedelta(days=every_days)
