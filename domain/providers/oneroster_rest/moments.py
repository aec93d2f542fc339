"""The times of change that a server writes: which is the latest, and where a delta begins.

They are the server's own clock, written in any of the ways of ISO 8601, and often without a zone.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

_MARGIN: Final = timedelta(minutes=5)
"""Asked for again, since clocks have seconds and imports take minutes."""
_TOMORROW: Final = timedelta(days=2)


def parse_moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None


def write_moment(moment: datetime) -> str:
    """In UTC with milliseconds: texts like this are in the order of time."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def latest(texts: Iterable[Any], *, today: date) -> str | None:
    """The latest of them, but of none that lies in the future: a delta from there has nothing."""
    known = {text for text in texts if isinstance(text, str)}
    if not known:
        return None
    end = datetime(today.year, today.month, today.day, tzinfo=UTC) + _TOMORROW
    if len({(len(text), text[-1:]) for text in known}) == 1:
        # All are written alike, so that they are in the order of time as they stand.
        greatest = parse_moment(max(known))
        if greatest is not None and greatest < end:
            return write_moment(greatest)
    moments = filter(None, map(parse_moment, known))
    past = [moment for moment in moments if moment < end]
    return write_moment(max(past)) if past else None


def delta_from(text: str) -> str | None:
    """Where a delta begins that goes on behind this time; None if it is no time."""
    moment = parse_moment(text)
    try:
        return write_moment(moment - _MARGIN) if moment else None
    except OverflowError:
        return None
