"""School years: the day on which one begins, and the year that a day belongs to.

A year is called by the calendar year in which it began: 2026 is 2026/27. Where nothing is
declared it begins on the first of July; a declared day holds for its own calendar year, and its
month and day for the years after it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

FIRST_DAY: Final = (7, 1)


class Beginning(NamedTuple):
    """`school_year` began, or will begin, on the day `starts_on`."""

    school_year: int
    starts_on: date


def beginnings(declared: Sequence[date], *, first: int, last: int) -> list[Beginning]:
    """Of the school years `first` to `last`. `declared` are first days; of a year the latest."""
    by_year = {day.year: day for day in sorted(declared)}
    month, day = FIRST_DAY
    found = []
    for year in range(min([first, *by_year]), last + 1):
        own = by_year.get(year)
        if own:
            month, day = own.month, own.day
        found.append(Beginning(year, own or _day_of(year, month, day)))
    return [beginning for beginning in found if beginning.school_year >= first]


def school_year_of(day: date, declared: Sequence[date]) -> int:
    """The school year that a day belongs to, in the tenant's time zone."""
    known = beginnings(declared, first=day.year - 1, last=day.year)
    place = bisect_right([beginning.starts_on for beginning in known], day)
    return known[place - 1].school_year


def _day_of(year: int, month: int, day: int) -> date:
    """The 29th of February is the 28th where there is none."""
    try:
        return date(year, month, day)
    except ValueError:
        return date(year, month, day - 1)
