"""School years: every day belongs to exactly one, whatever was declared."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.training.rollover import school_year_on
from domain.training.years import Beginning, beginnings, school_year_of

ONE_DAY = timedelta(days=1)
DAYS = st.dates(date(2015, 1, 1), date(2035, 12, 31))
DECLARED = st.lists(DAYS, max_size=6, unique_by=lambda day: day.year)


@given(declared=DECLARED, day=DAYS)
def test_every_day_belongs_to_exactly_one_year(declared: Sequence[date], day: date) -> None:
    known = beginnings(declared, first=2013, last=2037)
    holding = [
        this.school_year
        for this, following in pairwise(known)
        if this.starts_on <= day < following.starts_on
    ]
    assert holding == [school_year_of(day, declared)]


@given(declared=DECLARED, day=DAYS)
def test_a_year_is_left_on_the_first_day_of_the_next_one_only(
    declared: Sequence[date], day: date
) -> None:
    year, following = (school_year_of(each, declared) for each in (day, day + ONE_DAY))
    begins = beginnings(declared, first=year + 1, last=year + 1)
    is_first = begins == [Beginning(year + 1, day + ONE_DAY)]
    assert following == year + is_first


@given(declared=DECLARED, day=DAYS)
def test_a_year_is_told_with_its_first_and_last_day(declared: Sequence[date], day: date) -> None:
    found = school_year_on(day, declared)
    assert found.starts_on <= day <= found.ends_on
    assert found.starts_on.year == found.year
    for end in (found.starts_on, found.ends_on):
        assert school_year_on(end, declared) == found
    assert school_year_of(found.ends_on + ONE_DAY, declared) == found.year + 1
    assert school_year_of(found.starts_on - ONE_DAY, declared) == found.year - 1


@given(declared=DECLARED)
def test_a_declared_day_is_the_first_of_its_calendar_year(declared: Sequence[date]) -> None:
    for day in declared:
        assert beginnings(declared, first=day.year, last=day.year) == [Beginning(day.year, day)]


def test_where_nothing_is_declared_a_year_begins_in_july() -> None:
    assert school_year_of(date(2026, 6, 30), []) == 2025
    assert school_year_of(date(2026, 7, 1), []) == 2026
    assert school_year_on(date(2027, 1, 15), []) == (2026, date(2026, 7, 1), date(2027, 6, 30))


def test_a_declared_day_holds_for_its_year_and_by_month_and_day_for_those_after() -> None:
    declared = [date(2026, 8, 20)]
    assert school_year_of(date(2026, 8, 19), declared) == 2025
    assert school_year_of(date(2026, 8, 20), declared) == 2026
    assert school_year_of(date(2028, 8, 19), declared) == 2027
    assert school_year_of(date(2028, 8, 20), declared) == 2028
    assert beginnings(declared, first=2025, last=2025) == [Beginning(2025, date(2025, 7, 1))]


def test_a_year_of_the_south_begins_in_january() -> None:
    declared = [date(2026, 1, 27), date(2027, 2, 1)]
    assert school_year_of(date(2026, 1, 26), declared) == 2025
    assert school_year_of(date(2026, 1, 27), declared) == 2026
    assert school_year_on(date(2026, 12, 31), declared) == (
        2026,
        date(2026, 1, 27),
        date(2027, 1, 31),
    )
    assert school_year_of(date(2028, 1, 31), declared) == 2027


def test_a_leap_day_is_the_day_before_where_there_is_none() -> None:
    declared = [date(2028, 2, 29)]
    starts = [each.starts_on for each in beginnings(declared, first=2028, last=2032)]
    assert starts == [
        date(2028, 2, 29),
        date(2029, 2, 28),
        date(2030, 2, 28),
        date(2031, 2, 28),
        date(2032, 2, 29),
    ]
    assert school_year_of(date(2029, 2, 27), declared) == 2028
